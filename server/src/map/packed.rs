//! A map as JSON. Numbers of all documents are packed: little-endian arrays in base64, which a browser reads at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::CorpusMap;
use super::fields::Kind;

impl CorpusMap {
    /// The map without ids and texts:
    /// `{"generation":…,"count":…,"kept":…,"places":f32 x and y,"region_of":u16,"regions":[{"level":…,"parent":…,"x":…,"y":…,`
    /// `"rows":…,"words":[…]}],"fields":[{"name":…,"values":[…] or "least":…,"most":…,"codes":u8}]}`.
    /// The codes of a field are places in its values, one more than the last for other values, or 0 to 254 from the
    /// least to the most; 255 where a document has no such field.
    pub fn to_json(&self) -> Value {
        let places: Vec<u8> = self.places.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let of: Vec<u8> =
            self.regions.of_row.iter().flat_map(|region| (*region as u16).to_le_bytes()).collect();
        let regions = self.regions.regions.iter().map(|region| {
            json!({
                "level": region.level,
                "parent": region.parent,
                "x": region.center[0],
                "y": region.center[1],
                "rows": region.rows,
                "words": region.words,
            })
        });
        let fields = self.fields.iter().map(|field| {
            let mut json = json!({ "name": field.name, "codes": STANDARD.encode(&field.codes) });
            match &field.kind {
                Kind::Values(values) => json["values"] = json!(values),
                Kind::Scale(least, most) => {
                    json["least"] = json!(least);
                    json["most"] = json!(most);
                }
            }
            json
        });
        json!({
            "generation": self.generation,
            "count": self.len(),
            "kept": self.kept,
            "places": STANDARD.encode(places),
            "region_of": STANDARD.encode(of),
            "regions": regions.collect::<Vec<_>>(),
            "fields": fields.collect::<Vec<_>>(),
        })
    }

    /// The map with ids, and without texts: what a page asks a server for.
    pub fn to_json_with_ids(&self) -> Value {
        let mut json = self.to_json();
        json["ids"] = json!(self.ids);
        json
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiny;
    use super::*;

    #[test]
    fn arrays_are_packed_in_the_order_of_the_documents() {
        let json = tiny().to_json_with_ids();
        let bytes = STANDARD.decode(json["places"].as_str().unwrap()).unwrap();
        let numbers: Vec<f32> =
            bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(numbers, [0.5, -1.0, 2.0, 3.0]);
        assert_eq!(STANDARD.decode(json["region_of"].as_str().unwrap()).unwrap().len(), 4);
        assert_eq!((&json["count"], &json["ids"][0]), (&json!(2), &json!("a")));
    }
}
