//! Traces: what a call did and how long each part took, for an OpenTelemetry collector. `spec/traces.md`.
//!
//! Spans are made here alone and do not come from the log, so what is written for the log can never leave with them. A call is
//! traced or not; only inside a traced call do its acts make spans.
//!
//! | file | what |
//! |---|---|
//! | `none` | a binary without the feature `otel`: nothing happens |
//! | `spans` | spans of calls and acts |
//! | `outcome` | how an act ended, as a code |
//! | `export` | the queue of ended spans, and their way to the collector |

#[cfg(feature = "otel")]
mod export;
#[cfg(not(feature = "otel"))]
mod none;
#[cfg(feature = "otel")]
mod outcome;
#[cfg(feature = "otel")]
mod spans;

#[cfg(not(feature = "otel"))]
pub(crate) use self::none::{Export, Traces, carry, span};
#[cfg(feature = "otel")]
pub(crate) use self::{
    export::Export,
    outcome::Coded,
    spans::{Traces, carry, span},
};

/// Which part of the server does an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A use case.
    Service,
    /// The store in a SQLite file.
    Sqlite,
    /// The store in a PostgreSQL database.
    Postgres,
    /// Key-encryption keys, in files or in a token.
    Keys,
    /// Cryptography on threads of its own.
    Computation,
    /// The document register.
    Register,
}

/// The name of the function that has this closure in it. The compiler knows all of them: a closed list.
pub(crate) fn name_of<W>(_work: &W) -> &'static str {
    if !cfg!(feature = "otel") {
        return "";
    }
    function(std::any::type_name::<W>())
}

/// The last segment of a path that is a name, without what stands in angle brackets.
fn function(path: &'static str) -> &'static str {
    let (mut depth, mut found) = (0_usize, "");
    for segment in path.split("::") {
        let name = segment.split('<').next().unwrap_or_default();
        if depth == 0 && name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
            found = name;
        }
        // An arrow closes no bracket.
        let segment = segment.replace("->", "");
        let count = |bracket| segment.matches(bracket).count();
        depth = (depth + count('<')).saturating_sub(count('>'));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_is_named_after_its_function() {
        for (path, name) in [
            ("a::sign::Service::approve::{{closure}}::{{closure}}", "approve"),
            ("a::attempts::<impl a::store::Attempts for E>::reserve<'_, '_>::{{closure}}", "reserve"),
            ("<a::Store as b::Act<c::D>>::settle<alloc::string::String>::{{closure}}", "settle"),
            ("a::all<fn(b::C) -> d::E>::{{closure}}<f::G>", "all"),
            ("", ""),
        ] {
            assert_eq!(function(path), name);
        }
        #[cfg(feature = "otel")]
        assert_eq!(name_of(&|| ()), "an_act_is_named_after_its_function");
    }
}
