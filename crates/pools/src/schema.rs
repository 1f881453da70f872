//! What the API server would say about the fields of an `IPAddressPool`, by the schema of the kind. Its rules are not
//! evaluated here: what they ask for is found when the fields are read.

use keryx_ipam::configmap::distance;
use serde_json::Value;

#[cfg(test)]
mod tests;

/// A field that the API server would refuse, or drop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// No such field.
    #[error("{path}: unknown field; {}", suggestion(nearest.as_deref(), known))]
    Unknown {
        /// Path of the field.
        path: String,
        /// The known one that it resembles most.
        nearest: Option<String>,
        /// All that are known there.
        known: Vec<String>,
    },
    /// A field that must be there.
    #[error("{path} is missing")]
    Missing {
        /// Path of the field.
        path: String,
    },
    /// A value of another type.
    #[error("{path}: {found} is no {expected}{}", if expected == "string" { "; put it in quotes" } else { "" })]
    WrongType {
        /// Path of the field.
        path: String,
        /// The value, as JSON.
        found: String,
        /// The type it must have.
        expected: String,
    },
    /// A word that is none of those allowed.
    #[error("{path}: {found} is none of {}", allowed.join(", "))]
    NotAllowed {
        /// Path of the field.
        path: String,
        /// The value, as JSON.
        found: String,
        /// What may stand there.
        allowed: Vec<String>,
    },
    /// Too many entries, or too many characters.
    #[error("{path} has {found} {of}, and may have {most}")]
    TooMany {
        /// Path of the field.
        path: String,
        /// How many.
        found: usize,
        /// Of what.
        of: &'static str,
        /// How many there may be.
        most: u64,
    },
    /// Too small a number, or too few entries.
    #[error("{path} is {found}, and must be at least {least}")]
    TooSmall {
        /// Path of the field.
        path: String,
        /// The number.
        found: i64,
        /// The least there may be.
        least: i64,
    },
    /// Two equal entries.
    #[error("{path}: {found} stands there twice; remove one of them")]
    Twice {
        /// Path of the second.
        path: String,
        /// The entry, as JSON.
        found: String,
    },
}

fn suggestion(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("known are {}", known.join(", ")),
    }
}

/// More slips of the finger than this, and it is another word.
const MAX_DISTANCE: usize = 2;

/// What is wrong with `value` at `path`, in its order.
pub(crate) fn problems(schema: &Value, path: &str, value: &Value) -> Vec<FieldProblem> {
    let mut found = Vec::new();
    look(schema, path, value, &mut found);
    found
}

fn look(schema: &Value, path: &str, value: &Value, found: &mut Vec<FieldProblem>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let expected = schema["type"].as_str().unwrap_or_default();
    let fits = match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        _ => true,
    };
    if !fits {
        let (path, expected) = (path.to_owned(), expected.to_owned());
        found.push(FieldProblem::WrongType { path, found: value.to_string(), expected });
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed = allowed.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect();
        found.push(FieldProblem::NotAllowed { path: path.to_owned(), found: value.to_string(), allowed });
    }
    sizes(schema, path, value, found);
    fields(schema, path, value, found);
    let entries = value.as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if schema["x-kubernetes-list-type"] == "set" && entries[..index].contains(entry) {
            found.push(FieldProblem::Twice { path: path.clone(), found: entry.to_string() });
        }
        look(&schema["items"], &path, entry, found);
    }
}

/// The limits of numbers, texts and lists.
fn sizes(schema: &Value, path: &str, value: &Value, found: &mut Vec<FieldProblem>) {
    let path = || path.to_owned();
    let entries = value.as_array().map(Vec::len);
    let characters = value.as_str().map(|text| text.chars().count());
    let measured =
        [(entries, "entries", &schema["maxItems"]), (characters, "characters", &schema["maxLength"])];
    for (size, of, most) in measured {
        if let (Some(size), Some(most)) = (size, most.as_u64())
            && size as u64 > most
        {
            found.push(FieldProblem::TooMany { path: path(), found: size, of, most });
        }
    }
    // The minimum of an integer is a number with a fraction in the JSON of a definition.
    if let (Some(number), Some(least)) = (value.as_i64(), schema["minimum"].as_f64())
        && (number as f64) < least
    {
        found.push(FieldProblem::TooSmall { path: path(), found: number, least: least as i64 });
    }
    if schema["minItems"].as_u64() > Some(0) && entries == Some(0) {
        found.push(FieldProblem::Missing { path: format!("an entry of {}", path()) });
    }
}

/// The fields of an object.
fn fields(schema: &Value, path: &str, value: &Value, found: &mut Vec<FieldProblem>) {
    let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object()) else {
        return;
    };
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        match properties.get(name) {
            Some(schema) => look(schema, &path, field, found),
            None => {
                let known: Vec<String> = properties.keys().cloned().collect();
                let distance = |other: &str| distance(&name.to_lowercase(), &other.to_lowercase());
                let near = known.iter().map(|other| (distance(other), other));
                let nearest = near.filter(|(distance, _)| *distance <= MAX_DISTANCE).min();
                let nearest = nearest.map(|(_, other)| other.clone());
                found.push(FieldProblem::Unknown { path, nearest, known });
            }
        }
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required.filter(|name| !fields.contains_key(*name)) {
        found.push(FieldProblem::Missing { path: format!("{path}.{name}") });
    }
}
