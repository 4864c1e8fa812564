//! The examples that verify a result, in other languages, run as they stand there.

use std::{fs, path::PathBuf, process::Command};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    other_languages::{node, php, python, skipped, succeeds, top},
    results::{KEY, signed_result},
};

struct Example {
    language: &'static str,
    runtime: fn() -> Command,
    file: &'static str,
}

const EXAMPLES: [Example; 3] = [
    Example { language: "PHP", runtime: php, file: "verify_result.php" },
    Example { language: "Node", runtime: || node("node"), file: "verify_result.js" },
    Example { language: "Python", runtime: python, file: "verify_result.py" },
];

/// What the platform would do: whether the result is taken, and what it says.
fn verified(example: &Example, key_file: &PathBuf, result: &str) -> Option<Value> {
    let script = top().join("docs/contract/examples").join(example.file);
    let ran = (example.runtime)().arg(script).arg(key_file).arg(result).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    if ran.status.success() {
        return Some(serde_json::from_slice(&ran.stdout).unwrap());
    }
    assert!(ran.stdout.is_empty() && said.starts_with("refused: "), "{}: {said}", example.language);
    None
}

/// Signed by whoever has the key, `ahead` of now.
fn forged(key: &[u8], ahead: i64) -> String {
    let time = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed() + ahead;
    let content = json!({"grant": "g", "signup": "s", "result": "granted", "time": time}).to_string();
    let text = format!("FXR1.{}", URL_SAFE_NO_PAD.encode(content));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn other_languages_take_a_result_that_we_signed_and_refuse_every_other() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    fs::write(&key_file, [b" ", KEY, b"\r\n"].concat()).unwrap();
    let result = signed_result().await;
    let [form, content, signature] = result.split('.').collect::<Vec<_>>().try_into().unwrap();
    let lie = String::from_utf8(URL_SAFE_NO_PAD.decode(content).unwrap()).unwrap().replace("acct_1", "acct_2");
    let refused = [
        format!("{form}.{}.{signature}", URL_SAFE_NO_PAD.encode(lie)),
        format!("FXR2.{content}.{signature}"),
        format!("{form}.{content}."),
        format!("{form}.{content}.{}", &signature[..40]),
        format!("{form}.{content}"),
        format!("{result}.x"),
        String::new(),
        forged(b"another key of more than 32 bytes", 0),
        forged(KEY, -310),
        forged(KEY, 90),
    ];
    for example in &EXAMPLES {
        if !succeeds((example.runtime)().arg("--version")) {
            skipped(&format!("the example that verifies a result in {}", example.language), example.language);
            continue;
        }
        let taken = verified(example, &key_file, &result).unwrap();
        assert_eq!((&taken["grant"], &taken["signup"]), (&"grant-0".into(), &"acct_1".into()), "{}", example.language);
        assert_eq!(taken["result"], "granted");
        assert!(verified(example, &key_file, &forged(KEY, -290)).is_some(), "{}", example.language);
        for result in &refused {
            assert!(verified(example, &key_file, result).is_none(), "{}: {result}", example.language);
        }
    }
}
