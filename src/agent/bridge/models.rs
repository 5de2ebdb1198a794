//! Cursor's models with their parameters, under ids of the CLI's form.
//!
//! The bridge takes a model's id and a value for each of its parameters, and a parameter that is
//! left out gets its first value, not its default. The CLI has one id for each combination
//! (`gpt-5.4-high-fast`), and clients are configured with those, so each variant gets such an id.

use serde::{Deserialize, Serialize};

/// The reply of `ListModels` (sdk_messages.proto).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListModels {
    items: Vec<BridgeModel>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BridgeModel {
    id: String,
    display_name: String,
    parameters: Vec<ModelParameter>,
    variants: Vec<Variant>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ModelParameter {
    id: String,
    values: Vec<ParameterValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ParameterValue {
    value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Variant {
    params: Vec<Param>,
    display_name: String,
    is_default: bool,
}

/// What the bridge is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Selection {
    /// Cursor's id.
    pub id: String,
    /// A value for each parameter.
    pub params: Vec<Param>,
}

/// A parameter's value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Param {
    id: String,
    value: String,
}

/// The account's models.
#[derive(Debug, Default)]
pub(super) struct BridgeModels {
    models: Vec<BridgeModel>,
    entries: Vec<(String, String, Selection)>,
}

impl From<ListModels> for BridgeModels {
    fn from(list: ListModels) -> Self {
        let models: Vec<_> = list
            .items
            .into_iter()
            .filter(|model| !model.id.is_empty())
            .collect();
        let mut entries: Vec<(String, String, Selection)> = Vec::new();
        let mut add = |id: String, name: &str, selection| {
            if !entries.iter().any(|(known, _, _)| *known == id) {
                entries.push((id, name.to_owned(), selection));
            }
        };
        for model in &models {
            let name = either(&model.display_name, &model.id);
            add(model.id.clone(), name, model.selection(&[]));
            for variant in model.variants.iter().filter(|variant| !variant.is_default) {
                let name = either(&variant.display_name, name);
                let selection = model.selection(&variant.params);
                add(model.variant_id(&selection.params), name, selection);
            }
        }
        Self { models, entries }
    }
}

/// A name, or another where there is none.
pub(super) fn either<'a>(name: &'a str, other: &'a str) -> &'a str {
    if name.is_empty() { other } else { name }
}

impl BridgeModels {
    /// The list as the CLI's `models` prints it.
    pub fn listing(&self) -> String {
        let lines = self
            .entries
            .iter()
            .map(|(id, name, _)| format!("{id} - {name}\n"));
        format!("Available models\n\n{}", lines.collect::<String>())
    }

    /// All ids.
    pub fn ids(&self) -> Vec<String> {
        self.entries.iter().map(|(id, _, _)| id.clone()).collect()
    }

    /// The model and parameters that an id stands for: one of the list, one with `[name=value,…]`
    /// behind it, or a model's id and values of its parameters in any order. `auto` is Cursor's
    /// `default` where the list has no such model.
    pub fn select(&self, id: &str) -> Option<Selection> {
        if let Some((_, _, selection)) = self.entries.iter().find(|(known, _, _)| known == id) {
            return Some(selection.clone());
        }
        if let Some((model, params)) = id.strip_suffix(']').and_then(|id| id.split_once('[')) {
            let model = self.models.iter().find(|known| known.id == model)?;
            let params = params.split(',').filter(|param| !param.trim().is_empty());
            let params: Option<Vec<_>> = params
                .map(|param| {
                    let (id, value) = param.split_once('=')?;
                    model.param(id.trim(), value.trim())
                })
                .collect();
            return Some(model.selection(&params?));
        }
        let suffixed = self.models.iter().filter_map(|model| {
            let words = id.strip_prefix(model.id.as_str())?.strip_prefix('-')?;
            let params: Option<Vec<_>> = words.split('-').map(|word| model.word(word)).collect();
            Some(model.selection(&params?))
        });
        if let Some(selection) = suffixed.max_by_key(|selection| selection.id.len()) {
            return Some(selection);
        }
        (id == "auto").then(|| {
            let default = self.models.iter().find(|model| model.id == "default");
            default.map_or_else(
                || Selection {
                    id: id.to_owned(),
                    params: Vec::new(),
                },
                |model| model.selection(&[]),
            )
        })
    }
}

impl BridgeModel {
    /// The default's parameters, with these in their place.
    fn selection(&self, params: &[Param]) -> Selection {
        let default = self.variants.iter().find(|variant| variant.is_default);
        let mut all = default
            .map(|variant| variant.params.clone())
            .unwrap_or_default();
        for param in params {
            match all.iter_mut().find(|known| known.id == param.id) {
                Some(known) => known.clone_from(param),
                None => all.push(param.clone()),
            }
        }
        Selection {
            id: self.id.clone(),
            params: all,
        }
    }

    /// The id and the values in the order of the definitions; a flag is its name if it is set.
    fn variant_id(&self, params: &[Param]) -> String {
        let position = |param: &&Param| {
            self.parameters
                .iter()
                .position(|known| known.id == param.id)
        };
        let mut params: Vec<&Param> = params.iter().collect();
        params.sort_by_key(|param| position(param).unwrap_or(usize::MAX));
        let words = params
            .iter()
            .filter_map(|param| match param.value.as_str() {
                "true" => Some(param.id.as_str()),
                "false" | "" => None,
                value => Some(value),
            });
        words.fold(self.id.clone(), |id, word| format!("{id}-{word}"))
    }

    /// A parameter with one of its values.
    fn param(&self, id: &str, value: &str) -> Option<Param> {
        let parameter = self.parameters.iter().find(|known| known.id == id)?;
        parameter.values.iter().find(|known| known.value == value)?;
        Some(Param {
            id: id.to_owned(),
            value: value.to_owned(),
        })
    }

    /// The parameter that a word is a value of, or a flag that it is the name of.
    fn word(&self, word: &str) -> Option<Param> {
        let mut ids = self
            .parameters
            .iter()
            .map(|parameter| parameter.id.as_str());
        ids.clone()
            .find_map(|id| self.param(id, word))
            .or_else(|| ids.find_map(|id| (id == word).then(|| self.param(id, "true"))?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn catalog() -> BridgeModels {
        let param = |effort: &str, fast: &str| json!([{"id": "fast", "value": fast}, {"id": "reasoning", "value": effort}]);
        let list = json!({"items": [
            {"id": "default", "displayName": "Auto"},
            {"id": "gpt-9", "displayName": "GPT 9",
             "parameters": [
                {"id": "reasoning", "values": [{"value": "low"}, {"value": "medium"}, {"value": "high"}]},
                {"id": "fast", "values": [{"value": "false"}, {"value": "true"}]}],
             "variants": [
                {"params": param("medium", "false"), "displayName": "GPT 9", "isDefault": true},
                {"params": param("high", "false"), "displayName": "GPT 9 High"},
                {"params": param("high", "true"), "displayName": "GPT 9 High Fast"}]},
            {"id": "gpt-9-mini"},
            {"displayName": "no id"},
        ]});
        BridgeModels::from(serde_json::from_value::<ListModels>(list).unwrap())
    }

    #[test]
    fn each_variant_has_an_id() {
        assert_eq!(
            catalog().listing(),
            "Available models\n\ndefault - Auto\ngpt-9 - GPT 9\ngpt-9-high - GPT 9 High\n\
             gpt-9-high-fast - GPT 9 High Fast\ngpt-9-mini - gpt-9-mini\n"
        );
    }

    #[test]
    fn ids_become_parameters() {
        let catalog = catalog();
        let select = |id: &str| {
            let selection = catalog.select(id)?;
            let params = selection
                .params
                .iter()
                .map(|param| format!(" {}={}", param.id, param.value));
            Some(selection.id.clone() + &params.collect::<String>())
        };
        for (id, expected) in [
            ("gpt-9", Some("gpt-9 fast=false reasoning=medium")),
            ("gpt-9-high", Some("gpt-9 fast=false reasoning=high")),
            ("gpt-9-medium", Some("gpt-9 fast=false reasoning=medium")),
            ("gpt-9-fast-low", Some("gpt-9 fast=true reasoning=low")),
            (
                "gpt-9[reasoning=low]",
                Some("gpt-9 fast=false reasoning=low"),
            ),
            ("gpt-9[]", Some("gpt-9 fast=false reasoning=medium")),
            ("gpt-9[reasoning=huge]", None),
            ("gpt-9-mini", Some("gpt-9-mini")),
            ("gpt-9-huge", None),
            ("gpt-9-", None),
            ("gpt-8", None),
            ("auto", Some("default")),
        ] {
            assert_eq!(select(id).as_deref(), expected, "{id}");
        }
        assert_eq!(BridgeModels::default().select("auto").unwrap().id, "auto");
    }
}
