//! Tests of the reader as a whole: what rules become, what is said about mistakes, whole rule sets, any text.

use super::*;

#[test]
fn crs() {
    let mut files = |path: &str, from: &str| {
        let base = std::path::Path::new(from).parent().unwrap();
        let full = base.join(path);
        if path.contains('*') {
            let mut v: Vec<_> = std::fs::read_dir(full.parent().unwrap())
                .unwrap()
                .map(|e| e.unwrap().path())
                .filter(|p| p.extension().is_some_and(|e| e == "conf"))
                .collect();
            v.sort();
            return Ok(v.into_iter().map(|p| (p.to_string_lossy().into(), std::fs::read(p).unwrap())).collect());
        }
        match std::fs::read(&full) {
            Ok(b) => Ok(vec![(full.to_string_lossy().into(), b)]),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(vec![]),
            Err(e) => Err(e.to_string()),
        }
    };
    let text = std::fs::read_to_string("/usr/share/modsecurity-crs/owasp-crs.load").unwrap();
    let loaded = read(&[Source { name: "/usr/share/modsecurity-crs/owasp-crs.load".into(), text: &text }], &mut files);
    for p in &loaded.problems {
        println!("{p}");
    }
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for n in &loaded.notes {
        *kinds.entry(n.construct.split(['=', ':']).next().unwrap().to_owned()).or_default() += 1;
    }
    println!("{kinds:?}");
    println!("{:?}", loaded.counts);
}
