//! The local AWS and `make`, in a folder that was renamed, on a machine with nothing installed by hand, and for each architecture.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use larder_lambda::http_client;
use local_servers::helper::workspace_root;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::program;

/// A search path without any virtual environment.
const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A workspace of this name with nothing but its root's files and local-aws, as it is after a build and a move.
fn moved(dir: &Path) {
    std::fs::create_dir_all(dir.join("target/debug")).unwrap();
    for file in ["Cargo.toml", "template.yaml"] {
        std::fs::write(dir.join(file), "").unwrap();
    }
    std::fs::copy(program("local-aws"), dir.join("target/debug/local-aws")).unwrap();
}

#[test]
fn renamed_workspace_uses_its_own_python_and_results() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("renamed");
    moved(&root);
    for working in [root.as_path(), Path::new("/")] {
        let output = Command::new(root.join("target/debug/local-aws"))
            .arg("run")
            .current_dir(working)
            .env_remove("LARDER_PYTHON")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let python = root.join(".venv/bin/python3");
        let missing = format!("{} is missing", python.display());
        assert!(
            !output.status.success() && said.contains(&missing),
            "{said}"
        );
        assert!(root.join("target/run").is_dir());
    }
}

#[test]
fn no_source_compiles_in_the_folder_that_it_was_built_in() {
    let compiled_in = ["MANIFEST_DIR", "BIN_EXE_"].map(|name| format!("env!(\"CARGO_{name}"));
    let mut folders = ["benches", "crates", "functions", "monitors", "tests"]
        .map(|folder| workspace_root().join(folder))
        .to_vec();
    let mut sources = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let built = ["target", "node_modules"].map(Some);
            if path.is_dir() && !built.contains(&path.file_name().and_then(|name| name.to_str())) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                let found = compiled_in.iter().find(|text| source.contains(*text));
                assert_eq!(found, None, "{}", path.display());
                sources += 1;
            }
        }
    }
    assert!(sources > 200, "{sources} sources");
}

/// What `make` would run.
fn dry_run(arguments: &[&str]) -> Output {
    let mut make = Command::new("make");
    make.arg("--dry-run").args(arguments);
    // Settings of a `make` above this test.
    for name in ["MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARCH"] {
        make.env_remove(name);
    }
    make.current_dir(workspace_root()).output().unwrap()
}

#[test]
fn every_name_of_an_architecture_builds_and_deploys_it() {
    for (name, flag, parameter) in [
        ("arm64", "--arm64", "arm64"),
        ("aarch64", "--arm64", "arm64"),
        ("x86_64", "--x86-64", "x86_64"),
        ("amd64", "--x86-64", "x86_64"),
        ("x86-64", "--x86-64", "x86_64"),
    ] {
        let output = dry_run(&["deploy", &format!("ARCH={name}")]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains(&format!("--release \\\n\t{flag} ")),
            "{name}: {said}"
        );
        assert!(
            said.contains(&format!("Architecture={parameter}\n")),
            "{name}: {said}"
        );
    }
}

#[test]
fn unknown_architecture_is_refused_before_anything_is_built() {
    for target in ["build", "deploy"] {
        for name in ["", "riscv64", "arm", "x86", "ARM64", "arm64 x86_64"] {
            let output = dry_run(&[target, &format!("ARCH={name}")]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{target} {name:?}");
            let named = format!("ARCH=\"{name}\" is not an architecture of Lambda");
            assert!(
                said.contains(&named) && said.contains("arm64 (aarch64)"),
                "{said}"
            );
            assert!(output.stdout.is_empty(), "{target} {name:?}");
        }
    }
    // It is of no account where nothing is built for Lambda.
    assert!(dry_run(&["help", "ARCH=riscv64"]).status.success());
}

/// A running `local-aws dev`; ended with everything that it started.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::INT);
        }
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn lines_to_try_work_without_a_virtual_environment_or_the_aws_cli() {
    let dev = Command::new(program("local-aws"))
        .arg("dev")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut dev = Dev(dev.unwrap());
    let (stdout, stderr) = (dev.0.stdout.take().unwrap(), dev.0.stderr.take().unwrap());
    // Read to its end, or the pipe would fill up and hold the functions.
    std::thread::spawn(move || {
        BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .for_each(drop);
    });
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let shown: Vec<String> = lines
        .iter()
        .take_while(|line| !line.starts_with("Ctrl-C"))
        .collect();
    let tried = shown.iter().skip_while(|line| !line.starts_with("Try"));
    let tried = tried.filter_map(|line| line.strip_prefix("  "));
    // Addresses for a browser are among them.
    let tried: Vec<&str> = tried
        .filter(|line| !line.starts_with(['#', ' ']) && !line.starts_with("http://"))
        .collect();
    assert!(tried.len() > 10, "{shown:?}");
    let programs = tried.iter().filter_map(|line| line.split(' ').next());
    for name in programs.filter(|name| *name != "curl") {
        assert!(workspace_root().join(name).is_file(), "{name}");
    }

    let upload = tried.iter().find(|line| line.contains("--upload-file"));
    let [.., file, url] = *upload.unwrap().split(' ').collect::<Vec<_>>() else {
        panic!("{upload:?}")
    };
    let content = std::fs::read(workspace_root().join(file)).unwrap();
    let client = http_client().unwrap().no_proxy().build().unwrap();
    let stored = client.put(url).body(content.clone()).send().await.unwrap();
    assert!(stored.status().is_success(), "{stored:?}");
    let page = tried.iter().find_map(|line| {
        let url = line.strip_prefix("curl -i ")?;
        url.ends_with("/a.yaml").then_some(url)
    });
    let served = client.get(page.unwrap()).send().await.unwrap();
    assert_eq!(served.bytes().await.unwrap(), content);

    let invoke = tried
        .iter()
        .find(|line| line.contains("cdn-invalidator/status.json"));
    let invoked = Command::new("sh")
        .args(["-c", invoke.unwrap()])
        .current_dir(workspace_root())
        .env("PATH", SYSTEM_PATH)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&invoked.stdout);
    assert!(said.contains("completed"), "{said}");
}
