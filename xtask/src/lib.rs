//! What is written about Keryx by a program instead of a person (manifests, reference pages, the image), and the rules
//! of the house that the compiler does not check.

pub mod fields;
pub mod generate;
pub mod image;
pub mod install;
pub mod rbac;
pub mod reference;
pub mod tidy;
pub mod yaml;
