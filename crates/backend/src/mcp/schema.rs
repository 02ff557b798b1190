//! JSON Schemas of the API's models, which the OpenAPI document describes, too.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::Value;
use utoipa::ToSchema;

/// Returns the schema of a model that is an object, complete in itself. OpenAPI 3.1 and MCP use the same dialect (JSON Schema 2020-12); only
/// the place of shared definitions differs.
pub(super) fn of<T: ToSchema>() -> Arc<JsonObject> {
    let mut definitions = Vec::new();
    T::schemas(&mut definitions);
    let definitions: JsonObject = definitions
        .into_iter()
        .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
        .collect();
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    if let Value::Object(schema) = &mut schema {
        // A model of several parts says `allOf`; the protocol before 2026-07-28 wants the type at the root.
        schema.insert("type".to_owned(), "object".into());
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
    }
    move_references(&mut schema);
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

fn move_references(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/$defs/");
            }
            members.values_mut().for_each(move_references);
        }
        Value::Array(elements) => elements.iter_mut().for_each(move_references),
        _ => {}
    }
}
