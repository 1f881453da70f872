use super::*;
use crate::schema;

#[test]
fn the_schema_is_as_pinned() {
    insta::assert_snapshot!(schema::outline(&schema::of(&definition())));
}

#[test]
fn the_columns_of_kubectl_are_as_pinned() {
    insta::assert_snapshot!(schema::columns(definition()));
}

#[test]
fn the_names_are_those_of_the_house() {
    schema::check_names(&definition(), DEFINITION, "kcomm");
}

#[test]
fn the_schema_is_one_that_the_api_server_takes() {
    assert_eq!(schema::check(&definition()), 0);
}

#[test]
fn communities_are_read_in_every_form() {
    use CommunityValue::{Extended, Large, Standard};
    let rows = [
        ("64512:100", Standard(64_512 << 16 | 100)),
        ("0:0", Standard(0)),
        ("65535:65535", Standard(u32::MAX)),
        ("no-export", Standard(0xffff_ff01)),
        ("graceful-shutdown", Standard(0xffff_0000)),
        ("blackhole", Standard(0xffff_029a)),
        ("large:4200000000:1:4294967295", Large([4_200_000_000, 1, u32::MAX])),
        ("rt:64512:100000", Extended([0, 2, 0xfc, 0, 0, 1, 0x86, 0xa0])),
        ("soo:64512:9", Extended([0, 3, 0xfc, 0, 0, 0, 0, 9])),
        ("rt:4200000000:9", Extended([2, 2, 0xfa, 0x56, 0xea, 0, 0, 9])),
    ];
    for (text, value) in rows {
        assert_eq!(text.parse(), Ok(value), "{text}");
    }
    let none = [
        "",
        "1",
        "65536:1",
        "1:65536",
        "1:2:3",
        "large:1:2",
        "large:1:2:3:4",
        "+1:2",
        "1:-2",
        "rt:1",
        "rt:4200000000:65536",
        "cheap",
        "large:a:b:c",
        ":",
        "1:",
    ];
    for text in none {
        let error = text.parse::<CommunityValue>().unwrap_err();
        assert!(error.to_string().starts_with(&format!("'{text}' is no community")), "{error}");
    }
}

#[test]
fn a_name_stands_for_its_value_unless_it_is_given_twice_or_means_nothing() {
    let spec = |entries: &[(&str, &str)]| CommunitySpec {
        communities: entries
            .iter()
            .map(|(name, value)| CommunityAlias { name: (*name).to_owned(), value: (*value).to_owned() })
            .collect(),
    };
    let specs = [
        spec(&[("cheap", "1:1"), ("odd", "x"), ("no-export", "1:2")]),
        spec(&[("twice", "1:3")]),
        spec(&[("twice", "1:3")]),
    ];
    let aliases = Aliases::of(&specs);
    assert_eq!(aliases.read("cheap"), Ok(CommunityValue::Standard(0x1_0001)));
    assert_eq!(aliases.read("2:2"), Ok(CommunityValue::Standard(0x2_0002)));
    assert_eq!(
        aliases.read("no-export"),
        Ok(CommunityValue::Standard(0xffff_ff01)),
        "what has a meaning keeps it"
    );
    assert_eq!(aliases.read("twice"), Err(AliasError::Ambiguous("twice".to_owned())));
    assert!(matches!(aliases.read("odd"), Err(AliasError::Invalid(name, _)) if name == "odd"));
    assert_eq!(aliases.read("gone"), Err(AliasError::Unknown("gone".to_owned())));
}
