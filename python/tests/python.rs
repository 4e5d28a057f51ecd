//! Runs the tests of the Python package, in a virtual environment of their own, with the module that cargo has just built.
//!
//! `make test-python` runs the same tests with an installed wheel.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the tests need beside the package. Those of joints to other libraries are left out where these are not there: `python/test`
/// runs all.
const NEEDED: [&str; 6] = ["numpy", "pytest", "pyarrow", "nbclient", "nbformat", "ipykernel"];

#[test]
fn the_tests_of_the_python_package_pass() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let package = assemble(here, &kept);
    let python = environment(&kept);
    // The processes that a test starts must hear its signals, and not those of whoever runs all tests.
    let status = Command::new(&python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(here.join("tests"))
        .arg(format!("--rootdir={}", here.display()))
        .env("PYTHONPATH", &package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&kept)
        .status()
        .expect("python runs");
    assert!(status.success(), "pytest: {status}");
}

/// The package with the native module in it, in a folder of its own: the sources stay clean.
fn assemble(here: &Path, kept: &Path) -> PathBuf {
    let package = kept.join("package");
    let _ = fs::remove_dir_all(&package);
    fs::create_dir_all(package.join("akin")).expect("a folder");
    for entry in fs::read_dir(here.join("akin")).expect("the package") {
        let path = entry.expect("a file").path();
        if path.is_file() {
            fs::copy(&path, package.join("akin").join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    let module = package.join("akin/_akin.abi3.so");
    fs::copy(built(), module).expect("the native module");
    package
}

/// The library that cargo built for this test: it lies beside the test's folder.
fn built() -> PathBuf {
    let test = env::current_exe().expect("the path of the test");
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let name = format!("{}_akin{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let places = [profile.join(&name), profile.join("deps").join(&name)];
    places.into_iter().find(|path| path.is_file()).expect("cargo builds the library before its tests")
}

/// A Python with what the tests need. It is made once.
fn environment(kept: &Path) -> PathBuf {
    let folder = kept.join("environment");
    let python = folder.join("bin/python");
    if !folder.join("complete").is_file() {
        let _ = fs::remove_dir_all(&folder);
        let run = |command: &mut Command| {
            let status = command.status().expect("python3 is needed for these tests");
            assert!(status.success(), "{command:?}: {status}");
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(NEEDED));
        fs::write(folder.join("complete"), "").expect("a file");
    }
    python
}
