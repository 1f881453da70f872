//! Objects of one kind as last seen, from the watch or from the answer to an own write, whichever is newer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keryx_gateway::ObjectKey as Key;
use kube::{Resource, ResourceExt as _};

/// One changed object, before and after.
pub(crate) struct Changed<K> {
    /// Which.
    pub(crate) key: Key,
    /// As it was; `None` if it is new.
    pub(crate) old: Option<Arc<K>>,
    /// As it is; `None` if it is gone.
    pub(crate) new: Option<Arc<K>>,
}

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Store<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// The newest version that the watch has told of, deletions included. What is older and not here is gone.
    horizon: u128,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), horizon: 0 }
    }
}

impl<K: Resource> Store<K> {
    /// The object, if it exists.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.objects.get(&Key::new(namespace, name))
    }

    /// The object, if it exists.
    pub(crate) fn find(&self, key: &Key) -> Option<&Arc<K>> {
        self.objects.get(key)
    }

    /// All objects in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<K>)> {
        self.objects.iter()
    }

    /// The objects of one namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<&K> {
        self.objects
            .range(Key::new(namespace, "")..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| object.as_ref())
            .collect()
    }

    /// Takes in what the watch tells; `None` if it is not newer than what is here, or gone since.
    pub(crate) fn apply(&mut self, object: Arc<K>) -> Option<Changed<K>> {
        let seen = version(&*object).unwrap_or_default();
        let changed = self.note_written(object);
        self.horizon = self.horizon.max(seen);
        changed
    }

    /// Takes in the answer to an own write. The watch may have told more meanwhile, even that the object is gone: then
    /// `None`.
    pub(crate) fn note_written(&mut self, object: Arc<K>) -> Option<Changed<K>> {
        let key = Key::of(object.meta());
        let is_news = match (self.objects.get(&key), version(&*object)) {
            (Some(here), incoming) => is_newer(incoming, version(here.as_ref())),
            (None, Some(incoming)) => incoming > self.horizon,
            (None, None) => true,
        };
        is_news.then(|| self.insert(key, object))
    }

    /// Drops an object that the watch tells to be gone; `None` if another of its name stands here already.
    pub(crate) fn delete(&mut self, object: &K) -> Option<Changed<K>> {
        self.horizon = self.horizon.max(version(object).unwrap_or_default());
        self.note_deleted(&Key::of(object.meta()), object.meta().uid.as_deref())
    }

    /// Drops an object that an own request deleted.
    pub(crate) fn note_deleted(&mut self, key: &Key, uid: Option<&str>) -> Option<Changed<K>> {
        if self.objects.get(key)?.meta().uid.as_deref() != uid {
            return None;
        }
        let old = self.objects.remove(key);
        Some(Changed { key: key.clone(), old, new: None })
    }

    /// Replaces everything by a full list; what the list lacks is gone.
    pub(crate) fn reset(&mut self, list: Vec<Arc<K>>) -> Vec<Changed<K>> {
        let mut listing = Listing::default();
        list.into_iter().for_each(|object| listing.note(object, self));
        self.replace(listing)
    }

    /// As [`Store::reset`], with what a list tells beside what is here.
    pub(crate) fn replace(&mut self, listing: Listing<K>) -> Vec<Changed<K>> {
        let gone: Vec<Key> = self.objects.keys().filter(|key| !listing.keys.contains(key)).cloned().collect();
        let mut changes = Vec::new();
        for object in listing.news {
            changes.push(self.insert(Key::of(object.meta()), object));
        }
        for key in gone {
            let old = self.objects.remove(&key);
            changes.push(Changed { key, old, new: None });
        }
        self.horizon = self.horizon.max(listing.newest);
        changes
    }

    /// Whether `object` tells nothing that is not here already.
    fn has(&self, object: &K) -> bool {
        let here = self.objects.get(&Key::of(object.meta()));
        here.is_some_and(|here| !is_newer(version(object), version(here.as_ref())))
    }

    fn insert(&mut self, key: Key, new: Arc<K>) -> Changed<K> {
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        Changed { key, old, new: Some(new) }
    }
}

/// A full list, reduced to what a store lacks: a second copy of every object would double the memory in use.
pub(crate) struct Listing<K> {
    keys: BTreeSet<Key>,
    news: Vec<Arc<K>>,
    newest: u128,
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Self { keys: BTreeSet::new(), news: Vec::new(), newest: 0 }
    }
}

impl<K: Resource> Listing<K> {
    /// Takes in one object of the list.
    pub(crate) fn note(&mut self, object: Arc<K>, known: &Store<K>) {
        self.keys.insert(Key::of(object.meta()));
        self.newest = self.newest.max(version(&*object).unwrap_or_default());
        if !known.has(&object) {
            self.news.push(object);
        }
    }
}

/// Resource versions order as integers, over all objects of a kind (Kubernetes API concepts, since 1.35).
fn version<K: Resource>(object: &K) -> Option<u128> {
    object.resource_version().and_then(|version| version.parse().ok())
}

/// Whether one version is newer than another; a server that keeps to no such order is believed.
fn is_newer(incoming: Option<u128>, here: Option<u128>) -> bool {
    match (incoming, here) {
        (Some(incoming), Some(here)) => incoming > here,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, uid: &str, version: &str) -> Arc<ConfigMap> {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("ns".into());
        object.metadata.name = Some(name.into());
        object.metadata.uid = Some(uid.into());
        object.metadata.resource_version = Some(version.into());
        Arc::new(object)
    }

    #[test]
    fn an_older_version_never_replaces_a_newer() {
        let mut store = Store::default();
        assert!(store.apply(object("a", "1", "10")).is_some());
        assert!(store.apply(object("a", "1", "9")).is_none());
        assert!(store.apply(object("a", "1", "11")).is_some());
        assert!(store.apply(object("a", "2", "5")).is_none(), "a former object of the same name");
        assert!(store.apply(object("a", "2", "12")).is_some(), "a later object of the same name");
    }

    #[test]
    fn the_answer_to_an_own_write_does_not_bring_back_what_the_watch_told_to_be_gone() {
        let mut store = Store::default();
        store.apply(object("a", "1", "10"));
        store.delete(&object("a", "1", "12"));
        assert!(store.note_written(object("a", "1", "11")).is_none());
        assert!(store.find(&Key::new("ns", "a")).is_none());
    }

    #[test]
    fn the_answer_to_an_own_write_is_known_before_the_watch_tells_it_and_hides_nothing() {
        let mut store = Store::default();
        store.apply(object("a", "1", "10"));
        assert!(store.note_written(object("b", "2", "20")).is_some());
        assert!(store.apply(object("c", "3", "15")).is_some(), "the watch is behind the write");
        assert!(store.apply(object("b", "2", "20")).is_none(), "nothing new");
    }

    #[test]
    fn a_late_delete_of_a_former_object_is_ignored() {
        let mut store = Store::default();
        store.apply(object("a", "2", "5"));
        assert!(store.delete(&object("a", "1", "5")).is_none());
        assert!(store.delete(&object("a", "2", "6")).is_some());
    }

    #[test]
    fn a_full_list_tells_what_vanished() {
        let mut store = Store::default();
        store.apply(object("a", "1", "1"));
        store.apply(object("b", "2", "2"));
        let changes = store.reset(vec![object("b", "2", "2"), object("c", "3", "3")]);
        let told: Vec<(String, bool)> =
            changes.into_iter().map(|change| (change.key.name, change.new.is_some())).collect();
        assert_eq!(told, [("c".to_owned(), true), ("a".to_owned(), false)]);
    }
}
