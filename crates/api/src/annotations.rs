//! The annotations by which a Service or Gateway says which address it would like: Keryx' own, and those of other
//! programs that it reads for users who come from there. Keryx writes none of them.

/// What an annotation wishes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Certain addresses: a list with commas, at most one of each family.
    Addresses,
    /// An address of this pool.
    Pool,
    /// To share its address with owners of the same key.
    SharingKey,
    /// To share also with owners in other namespaces that say the same.
    ShareAcrossNamespaces,
}

/// Whose annotation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vendor {
    /// Keryx.
    Keryx,
    /// MetalLB, under its present and its former prefix.
    MetalLb,
    /// kube-vip and its cloud provider.
    KubeVip,
    /// Cilium's LB-IPAM, under its present and its former prefix.
    Cilium,
}

impl Vendor {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keryx => "Keryx",
            Self::MetalLb => "MetalLB",
            Self::KubeVip => "kube-vip",
            Self::Cilium => "Cilium",
        }
    }
}

/// One annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Its full name.
    pub name: &'static str,
    /// What it wishes for.
    pub wish: Wish,
    /// Whose it is.
    pub vendor: Vendor,
}

const fn of(vendor: Vendor, wish: Wish, name: &'static str) -> Annotation {
    Annotation { name, wish, vendor }
}

/// Every annotation that is read, Keryx' own first.
pub const ANNOTATIONS: [Annotation; 17] = [
    of(Vendor::Keryx, Wish::Addresses, "keryx.dev/addresses"),
    of(Vendor::Keryx, Wish::Pool, "keryx.dev/pool"),
    of(Vendor::Keryx, Wish::SharingKey, "keryx.dev/sharing-key"),
    of(Vendor::Keryx, Wish::ShareAcrossNamespaces, "keryx.dev/share-across-namespaces"),
    of(Vendor::MetalLb, Wish::Addresses, "metallb.io/loadBalancerIPs"),
    of(Vendor::MetalLb, Wish::Pool, "metallb.io/address-pool"),
    of(Vendor::MetalLb, Wish::SharingKey, "metallb.io/allow-shared-ip"),
    of(Vendor::MetalLb, Wish::Addresses, "metallb.universe.tf/loadBalancerIPs"),
    of(Vendor::MetalLb, Wish::Pool, "metallb.universe.tf/address-pool"),
    of(Vendor::MetalLb, Wish::SharingKey, "metallb.universe.tf/allow-shared-ip"),
    of(Vendor::KubeVip, Wish::Addresses, "kube-vip.io/loadbalancerIPs"),
    of(Vendor::Cilium, Wish::Addresses, "lbipam.cilium.io/ips"),
    of(Vendor::Cilium, Wish::SharingKey, "lbipam.cilium.io/sharing-key"),
    of(Vendor::Cilium, Wish::ShareAcrossNamespaces, "lbipam.cilium.io/sharing-cross-namespace"),
    of(Vendor::Cilium, Wish::Addresses, "io.cilium/lb-ipam-ips"),
    of(Vendor::Cilium, Wish::SharingKey, "io.cilium/lb-ipam-sharing-key"),
    of(Vendor::Cilium, Wish::ShareAcrossNamespaces, "io.cilium/lb-ipam-sharing-cross-namespace"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::names;

    #[test]
    fn no_annotation_stands_twice_and_ours_are_in_our_group() {
        let names: BTreeSet<&str> = ANNOTATIONS.iter().map(|annotation| annotation.name).collect();
        assert_eq!(names.len(), ANNOTATIONS.len());
        for annotation in &ANNOTATIONS {
            let in_our_group = annotation.name.starts_with(&format!("{}/", names::GROUP));
            assert_eq!(in_our_group, annotation.vendor == Vendor::Keryx, "{}", annotation.name);
        }
    }

    #[test]
    fn each_wish_has_one_annotation_of_ours() {
        for wish in [Wish::Addresses, Wish::Pool, Wish::SharingKey, Wish::ShareAcrossNamespaces] {
            let ours = ANNOTATIONS.iter().filter(|a| a.vendor == Vendor::Keryx && a.wish == wish);
            assert_eq!(ours.count(), 1, "{wish:?}");
        }
    }
}
