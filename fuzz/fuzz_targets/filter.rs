//! Whatever a filter says, it is read or refused with a place in it; what was read prints as the same.
#![no_main]

use akin_index::{Error, Filter, Metadata};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&str, &str)| {
    let (text, json) = data;
    match Filter::parse(text) {
        Ok(filter) => {
            let metadata: Metadata = fields(json);
            let again = Filter::parse(&filter.to_string()).expect("what is printed can be read");
            assert_eq!(again, filter);
            assert_eq!(again.matches(&metadata), filter.matches(&metadata));
        }
        Err(Error::Filter { at, reason }) => {
            assert!((1..=text.chars().count() + 1).contains(&at) && !reason.is_empty());
        }
        Err(other) => panic!("{other}"),
    }
});

/// The fields of an object, or a few that every filter may meet.
fn fields(json: &str) -> Metadata {
    serde_json::from_str(json).unwrap_or_else(|_| {
        serde_json::from_str(r#"{"a":1,"b":"x","c":[1,"x",null,{}],"d":null,"e":1.5,"f":true}"#)
            .expect("this is an object")
    })
}
