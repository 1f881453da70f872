use super::*;

#[test]
fn hashes_are_stable_and_the_borders_of_their_parts_count() {
    // Names of stored Services depend on it: a change of this value orphans every clone.
    assert_eq!(hash(&["default", "edge"]), "71daee9cb443");
    assert_ne!(hash(&["a", "bc"]), hash(&["ab", "c"]));
    assert_ne!(hash(&["a", ""]), hash(&["a"]));
}

#[test]
fn a_service_name_is_the_text_itself_where_that_is_an_rfc_1035_label() {
    let fits = "a".repeat(63);
    for text in ["edge-keryx", "a", "a1-2", &fits] {
        assert_eq!(service_name(text, "0123456789ab"), text);
    }
}

#[test]
fn other_service_names_become_labels_of_at_most_63_characters_with_the_hash() {
    let long = "a".repeat(64);
    let cut = format!("{}-0123456789ab", "a".repeat(50));
    let dash_at_cut = format!("{}-{}", "a".repeat(49), "b".repeat(50));
    let trimmed = format!("{}-0123456789ab", "a".repeat(49));
    for (text, expected) in [
        ("edge.a-keryx", "edge-a-keryx-0123456789ab"),
        ("9edge-keryx", "gw-9edge-keryx-0123456789ab"),
        (&long, &cut),
        (&dash_at_cut, &trimmed),
    ] {
        assert_eq!(service_name(text, "0123456789ab"), expected);
        assert!(expected.len() <= 63);
    }
}

#[test]
fn a_label_value_is_the_text_itself_up_to_63_characters_and_told_apart_beyond() {
    assert_eq!(label_value("edge.example"), "edge.example");
    let (one, other) = ("a".repeat(63), "a".repeat(64));
    assert_eq!(label_value(&one), one);
    assert_eq!(label_value(&other).len(), 63);
    assert_ne!(label_value(&other), label_value(&"a".repeat(65)));
}
