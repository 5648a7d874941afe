//! Schemas of values that are text in JSON and a type of their own in Rust: for the server's OpenAPI document.

/// Gives a type the schema of text that fits a pattern of ECMA-262.
macro_rules! text_schema {
    ($name:ident, $pattern:expr, $description:expr) => {
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let schema = utoipa::openapi::ObjectBuilder::new();
                let schema = schema.schema_type(utoipa::openapi::Type::String);
                schema.pattern(Some($pattern)).description(Some($description)).into()
            }
        }
        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use text_schema;
