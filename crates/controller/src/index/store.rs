//! Objects of one kind as last seen, from the watch or from the answer to an own write, whichever is newer.

use std::collections::BTreeMap;
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
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new() }
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

    /// Takes in an object; `None` if it is not newer than what is here.
    pub(crate) fn apply(&mut self, object: K) -> Option<Changed<K>> {
        let key = Key::of(object.meta());
        if self.objects.get(&key).is_some_and(|here| !is_newer(&object, here.as_ref())) {
            return None;
        }
        let new = Arc::new(object);
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        Some(Changed { key, old, new: Some(new) })
    }

    /// Drops an object; `None` if another of its name stands here already.
    pub(crate) fn delete(&mut self, object: &K) -> Option<Changed<K>> {
        let key = Key::of(object.meta());
        if self.objects.get(&key)?.uid() != object.uid() {
            return None;
        }
        let old = self.objects.remove(&key);
        Some(Changed { key, old, new: None })
    }

    /// Replaces everything by a full list; what the list lacks is gone.
    pub(crate) fn reset(&mut self, list: Vec<K>) -> Vec<Changed<K>> {
        let listed: std::collections::BTreeSet<Key> =
            list.iter().map(|object| Key::of(object.meta())).collect();
        let gone: Vec<Key> = self.objects.keys().filter(|key| !listed.contains(key)).cloned().collect();
        let mut changes: Vec<Changed<K>> = list.into_iter().filter_map(|object| self.apply(object)).collect();
        for key in gone {
            let old = self.objects.remove(&key);
            changes.push(Changed { key, old, new: None });
        }
        changes
    }
}

/// Whether `incoming` replaces `here`: another object of the same name does, and so does a newer version. Resource
/// versions order as integers (Kubernetes API concepts, since 1.35); a server that keeps to no such order is believed.
fn is_newer<K: Resource>(incoming: &K, here: &K) -> bool {
    if incoming.uid() != here.uid() {
        return true;
    }
    let number = |object: &K| object.resource_version().and_then(|version| version.parse::<u128>().ok());
    match (number(incoming), number(here)) {
        (Some(incoming), Some(here)) => incoming > here,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, uid: &str, version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("ns".into());
        object.metadata.name = Some(name.into());
        object.metadata.uid = Some(uid.into());
        object.metadata.resource_version = Some(version.into());
        object
    }

    #[test]
    fn an_older_version_never_replaces_a_newer() {
        let mut store = Store::default();
        assert!(store.apply(object("a", "1", "10")).is_some());
        assert!(store.apply(object("a", "1", "9")).is_none());
        assert!(store.apply(object("a", "1", "11")).is_some());
        assert!(store.apply(object("a", "2", "5")).is_some(), "another object of the same name");
    }

    #[test]
    fn a_late_delete_of_a_former_object_is_ignored() {
        let mut store = Store::default();
        store.apply(object("a", "2", "5"));
        assert!(store.delete(&object("a", "1", "4")).is_none());
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
