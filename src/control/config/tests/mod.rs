//! Tests of the configuration as a whole: positions and texts of errors, meaning, examples, arbitrary input.

mod cache;
mod errors;
mod examples;
mod limits;
mod logging;
mod meaning;
mod waf;

use std::path::Path;

use super::*;

/// A configuration with one extra line in each section, at known places: `[server]` is followed by line 2, the
/// listener's extra is line 5, the upstream's line 9, the route's line 12.
fn with(section: &str, extra: &str) -> String {
    let of = |name: &str| if name == section { extra } else { "" };
    format!(
        "[server]\n{}\n[[listener]]\naddress = \"127.0.0.1:0\"\n{}\n[[upstream]]\nname = \"api\"\n\
         endpoints = [\"http://127.0.0.1:9000\"]\n{}\n[[route]]\nupstream = \"api\"\n{}\n",
        of("server"),
        of("listener"),
        of("upstream"),
        of("route"),
    )
}

/// Loads a text as `c.toml` of `folder`, with `KEY=sesame` in the environment.
fn load_in(folder: &Path, text: &str) -> Result<Loaded, ConfigErrors> {
    let env = |name: &str| match name {
        "KEY" => Some("sesame".to_owned()),
        "BROKEN" => Some("sesame\nsesame".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    parse(text, &folder.join("c.toml"), &Keep::new().unwrap(), &env)
}

fn load_text(text: &str) -> Result<Loaded, ConfigErrors> {
    load_in(Path::new(""), text)
}

/// A self-signed pair `NAME.pem`, `NAME.key` in a folder.
fn write_pair(folder: &Path, name: &str, hosts: &[&str]) {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let pair = rcgen::generate_simple_self_signed(hosts).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), pair.cert.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), pair.signing_key.serialize_pem()).unwrap();
}
