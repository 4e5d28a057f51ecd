//! Where the definitions of source code begin: functions, methods, types. No grammar is needed for it: in all common languages a
//! definition is a line that begins with a word for it, or that has the shape of a function with its block.

use std::collections::BTreeMap;

/// Endings of the names of source code.
const ENDINGS: [&str; 48] = [
    "rs", "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "java", "kt", "kts", "scala", "groovy", "c",
    "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "cu", "cs", "fs", "vb", "go", "rb", "php", "swift", "m",
    "mm", "dart", "zig", "lua", "pl", "pm", "r", "jl", "ex", "exs", "sh", "bash", "zsh", "ps1", "sql",
    "proto", "vue",
];

/// Words before a definition that say more of it.
const MODIFIERS: [&str; 29] = [
    "pub",
    "public",
    "private",
    "protected",
    "internal",
    "static",
    "async",
    "export",
    "default",
    "abstract",
    "final",
    "override",
    "virtual",
    "inline",
    "extern",
    "const",
    "unsafe",
    "open",
    "sealed",
    "data",
    "suspend",
    "declare",
    "partial",
    "readonly",
    "case",
    "local",
    "constexpr",
    "friend",
    "typedef",
];

/// Words that begin a definition.
const DEFINITIONS: [&str; 31] = [
    "fn",
    "def",
    "func",
    "function",
    "fun",
    "class",
    "struct",
    "enum",
    "trait",
    "impl",
    "interface",
    "module",
    "mod",
    "namespace",
    "object",
    "protocol",
    "extension",
    "union",
    "record",
    "defmodule",
    "defp",
    "defmacro",
    "sub",
    "procedure",
    "macro_rules!",
    "macro",
    "actor",
    "mixin",
    "message",
    "service",
    "type",
];

/// Words that are followed by parentheses and a block, and are no function.
const CONTROL: [&str; 24] = [
    "if",
    "for",
    "while",
    "switch",
    "else",
    "return",
    "do",
    "catch",
    "try",
    "match",
    "with",
    "loop",
    "elif",
    "elsif",
    "unless",
    "until",
    "foreach",
    "using",
    "lock",
    "synchronized",
    "when",
    "guard",
    "defer",
    "select",
];

/// How a definition lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// By itself.
    Outer,
    /// In another one, as a method in its class.
    Inner,
}

/// Whether a document of this id is source code.
pub(super) fn is_code(id: &str) -> bool {
    let name = id.rsplit('/').next().unwrap_or(id);
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// The first byte of each definition that begins a line, with the remarks and attributes above it, and its level.
pub(super) fn definitions(text: &str) -> BTreeMap<usize, Level> {
    let mut found = BTreeMap::new();
    // The first of the lines just above that belong to what follows: remarks, attributes, decorators.
    let mut above: Option<(usize, usize)> = None;
    let mut at = 0;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim();
        let indent = line.len() - line.trim_start().len();
        let begin = at + indent;
        at += line.len();
        if code.is_empty() {
            above = None;
        } else if belongs_to_next(code) {
            above = above.or(Some((begin, indent)));
        } else {
            let next = lines[number + 1..].iter().map(|line| line.trim()).find(|line| !line.is_empty());
            if is_definition(code, indent, next.unwrap_or_default()) {
                let begin = above.filter(|(_, above)| *above == indent).map_or(begin, |(begin, _)| begin);
                found.insert(begin, if indent == 0 { Level::Outer } else { Level::Inner });
            }
            above = None;
        }
    }
    found
}

/// Whether a line is a remark or an attribute, of what stands below it.
fn belongs_to_next(code: &str) -> bool {
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| code.starts_with(beginning));
    let is_directive = begins(&["#include", "#define", "#if", "#el", "#end", "#pragma", "#undef", "#import"]);
    begins(&["//", "/*", "*/", "* ", "--", "@", "#", "template <", "template<"]) && !is_directive
        || code == "*"
        || code.starts_with('[') && code.ends_with(']')
}

fn is_definition(code: &str, indent: usize, next: &str) -> bool {
    // A statement ends with a semicolon; so do the heads of definitions that are elsewhere.
    let is_statement = code.ends_with(';') && !code.contains('{');
    let mut words = code.split_whitespace().map(|word| word.split('(').next().unwrap_or(word));
    let mut first = words.next().unwrap_or_default();
    let mut modified = false;
    while MODIFIERS.contains(&first) || first == "extern" || first.starts_with('"') && modified {
        modified = true;
        let Some(word) = words.next() else { break };
        first = word;
    }
    let bare = first.split(['<', '*', ':', '!']).next().unwrap_or(first);
    if DEFINITIONS.contains(&first) || DEFINITIONS.contains(&bare) && first != bare {
        // `type` and the like are names too: `type = 3`, `module.exports`.
        let named = words.next().is_some_and(|name| {
            name.starts_with(|first: char| first.is_alphanumeric() || "_<{$[(*&'~`".contains(first))
        });
        let begins_call = code[code.find(first).map_or(0, |at| at + first.len())..].starts_with('(')
            && first != "function"
            && first != "func";
        return !is_statement
            && (named || first == "impl" || first == "func" || first == "function")
            && !begins_call;
    }
    if CONTROL.contains(&first) || is_statement || code.starts_with(['}', ')', ']', '{', '.', '"', '\'', '`'])
    {
        return false;
    }
    is_function_value(code, indent) || has_block(code, indent, next)
}

/// A function that is given a name, as in `const add = (a, b) => {`.
fn is_function_value(code: &str, indent: usize) -> bool {
    indent == 0
        && code.split_once('=').is_some_and(|(_, value)| {
            let value = value.trim_start();
            let value = value.strip_prefix("async ").unwrap_or(value).trim_start();
            value.starts_with("function")
                || (value.starts_with('(') && (code.ends_with("=> {") || code.ends_with("=>")))
        })
}

/// A function of a language that has no word for it: a name, parentheses, and a block after them.
fn has_block(code: &str, indent: usize, next: &str) -> bool {
    let Some(open) = code.find('(') else { return false };
    let (name, rest) = code.split_at(open);
    let is_name = |word: &str| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_alphanumeric() || "_$~:<>,*&[]?.".contains(letter))
    };
    if !name.split_whitespace().all(is_name) || name.trim().is_empty() || name.contains('.') {
        return false;
    }
    let last = name.split_whitespace().next_back().unwrap_or_default();
    if CONTROL.contains(&last) {
        return false;
    }
    let opens = code.ends_with('{') && rest.contains(')') && !rest.contains("=>");
    // In C the block, or the rest of the parameters, may be on the lines below.
    let below = indent == 0
        && name.split_whitespace().count() > 1
        && (next.starts_with('{') || code.ends_with(','))
        && !code.contains('=');
    opens && !rest.contains(") (") || below
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first line of each definition, with a dot before inner ones.
    fn found(text: &str) -> Vec<String> {
        let line = |at: usize| text[at..].lines().next().unwrap_or_default().to_owned();
        let mark = |level| if level == Level::Inner { "." } else { "" };
        definitions(text).into_iter().map(|(at, level)| format!("{}{}", mark(level), line(at))).collect()
    }

    #[test]
    fn definitions_are_found_with_what_is_said_above_them() {
        let rust = "use a::b;\n\n/// Adds.\n#[inline]\npub(crate) fn add(a: u8) -> u8 {\n    if a > 1 {\n        call(a);\n    }\n    a\n}\n\n\
                    impl<T> Tree<T> {\n    // It is so.\n    pub async unsafe fn walk(&self) {}\n}\nlet f = |x| x;\n";
        assert_eq!(found(rust), ["/// Adds.", "impl<T> Tree<T> {", ".// It is so."]);
        let python = "import os\n# a remark\n\n@cached\ndef f(x):\n    return g(x)\n\nclass A(B):\n    def m(self):\n        for x in y:\n            print(x)\n\n    async def n(self): pass\n";
        assert_eq!(found(python), ["@cached", "class A(B):", ".def m(self):", ".async def n(self): pass"]);
        let java = "package a;\n\n/**\n * Says.\n */\npublic final class A<T> extends B {\n    private int n = call(3);\n\n    @Override\n    \
                    public <T> void say(String what) throws E {\n        if (what) {\n            say(what);\n        } else {\n        }\n    }\n}\n";
        assert_eq!(found(java), ["/**", ".@Override"]);
        let c = "#include <stdio.h>\n\nstatic int add(int a,\n               int b)\n{\n    while (a) {\n    }\n    return a;\n}\n\nint main(void)\n{\n    add(1, 2);\n}\nint f(int);\n";
        assert_eq!(found(c), ["static int add(int a,", "int main(void)"]);
        let script = "import x from 'y';\nconst add = (a, b) => {\n  return a;\n};\nexport default function run() {\n  list.map((x) => {\n  });\n}\nclass A {\n  constructor(x) {\n    super(x);\n  }\n  get(y) {\n    switch (y) {\n    }\n  }\n}\n";
        assert_eq!(
            found(script),
            [
                "const add = (a, b) => {",
                "export default function run() {",
                "class A {",
                ".constructor(x) {",
                ".get(y) {"
            ]
        );
        let go = "// Package a does.\npackage a\n\nfunc (s *Server) Run(a int) error {\n\tif a > 1 {\n\t}\n}\n\ntype T struct {\n}\n";
        assert_eq!(found(go), ["func (s *Server) Run(a int) error {", "type T struct {"]);
        let shell = "#!/bin/sh\nset -e\n\n# Says.\nsay() {\n  echo a\n}\n";
        assert_eq!(found(shell), ["# Says."]);
    }

    #[test]
    fn names_of_code_are_known() {
        for id in ["a.rs", "deep/b.PY", "c.min.js"] {
            assert!(is_code(id), "{id}");
        }
        for id in ["a.md", "notes.txt:3", "rs", "a.rs/b", "17"] {
            assert!(!is_code(id), "{id}");
        }
    }
}
