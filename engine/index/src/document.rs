//! What a corpus is made of.

/// The fields of a document beside its id and text, in the order of the corpus.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// One entry of a corpus: the text that is encoded, the name it is known by outside, and whatever
/// else its line said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The id the user knows it by; unique in an index.
    pub id: String,
    /// The text whose meaning is searched.
    pub text: String,
    /// Every other field, kept as it was read.
    pub metadata: Metadata,
}
