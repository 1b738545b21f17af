//! The word counter against a single-threaded count of the same trees, and how it stops.
//!
//! Trees are random. A failure prints the seed; `WORDCOUNT_SEED=<seed>` makes the same tree again.

mod common;

#[path = "../wordcount/count.rs"]
mod count;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use count::Counts;
use serde_json::Value;

#[test]
fn random_trees_are_counted_as_by_one_thread() {
    let seed = seed();
    println!("WORDCOUNT_SEED={seed}");
    let mut random = Random(seed);
    for round in 0..6 {
        let tree = Tree::new();
        let mut files = Files::default();
        grow(tree.path(), &mut random, 4, &mut files);
        let expected = count_alone(&files);

        // One worker and many, one processor and several.
        let workers = ["1", "3", "16"][round % 3];
        let procs = ["1", "2", "4"][round / 2];
        let result = count_json(&["--workers", workers, "--procs", procs], &[tree.path()]);
        let context = format!("seed {seed}, round {round}: {result:.400}");

        assert_eq!(top_of(&result), owned(expected.counts.top(usize::MAX)), "{context}");
        assert_eq!(result["words"], expected.counts.total(), "{context}");
        assert_eq!(result["files"], expected.files, "{context}");
        assert_eq!(result["bytes"], expected.bytes, "{context}");
        assert_eq!(result["binary"], expected.binary, "{context}");
        assert_eq!(result["skipped"], expected.skipped, "{context}");
        assert_eq!(result["stopped"], Value::Null, "{context}");
        assert_eq!(result["goroutines_left"], 0, "{context}");
    }
}

#[test]
fn a_large_file_is_cut_between_words() {
    let seed = seed();
    println!("WORDCOUNT_SEED={seed}");
    let mut random = Random(seed);
    let tree = Tree::new();
    // Several pieces of a quarter of a megabyte, one of them without any place to cut.
    let mut text = random.text(600_000);
    text.extend(std::iter::repeat_n("né—", 200_000).flat_map(str::bytes));
    text.extend(random.text(300_000));
    fs::write(tree.path().join("large"), &text).unwrap();

    let mut expected = Counts::default();
    expected.add_text(&text);
    let result = count_json(&[], &[tree.path()]);
    assert_eq!(top_of(&result), owned(expected.top(usize::MAX)), "seed {seed}");
    assert_eq!(result["bytes"], text.len());
}

/// 17 MiB without a place to cut: more than is kept in memory for one word.
#[test]
fn a_file_that_is_one_word_is_cut_between_characters() {
    let tree = Tree::new();
    let text = "é".repeat(17 << 19);
    fs::write(tree.path().join("word"), &text).unwrap();
    let result = count_json(&[], &[tree.path()]);
    assert_eq!(result["bytes"], text.len(), "{:.400}", result.to_string());
    assert_eq!(result["words"], 2);
    // Nothing of it is lost, and every character is whole.
    let letters: usize =
        top_of(&result).iter().map(|(word, _)| word.chars().filter(|&c| c == 'é').count()).sum();
    assert_eq!(letters, 17 << 19);
}

#[test]
fn a_bad_path_is_named_and_not_fatal() {
    let tree = Tree::new();
    fs::write(tree.path().join("good"), "one two two").unwrap();
    let missing = tree.path().join("no such file");

    let result = count_json(&[], &[&missing, tree.path()]);
    assert_eq!(result["words"], 3);
    assert_eq!(result["skipped"], 1);
    assert_eq!(result["named"][0]["path"], missing.to_str().unwrap());

    // In plain text the path is named on stderr, and the result stays clean.
    let output = wordcount(&[], &[&missing, tree.path()]);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("no such file"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("3 words, 2 different, in 1 files"), "{}", text(&output.stdout));
}

#[test]
fn only_some_of_the_skipped_are_named() {
    let tree = Tree::new();
    let missing: Vec<PathBuf> = (0..30).map(|i| tree.path().join(format!("missing {i}"))).collect();
    let missing: Vec<&Path> = missing.iter().map(PathBuf::as_path).collect();
    let result = count_json(&[], &missing);
    assert_eq!(result["skipped"], 30);
    assert_eq!(result["named"].as_array().unwrap().len(), 10);
    assert!(text(&wordcount(&[], &missing).stderr).contains("skipped 20 more"));
    assert!(wordcount(&["--quiet"], &missing).stderr.is_empty());
}

#[cfg(unix)]
#[test]
fn links_and_pipes_are_passed_over() {
    let tree = Tree::new();
    fs::write(tree.path().join("file"), "word").unwrap();
    std::os::unix::fs::symlink(tree.path(), tree.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("file", tree.path().join("link")).unwrap();
    let pipe = tree.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());

    let result = count_json(&[], &[tree.path()]);
    assert_eq!(result["words"], 1);
    assert_eq!(result["skipped"], 3);

    // A root may be a link: who names it means what it points to.
    let result = count_json(&[], &[&tree.path().join("loop")]);
    assert_eq!(result["words"], 1);
}

#[test]
fn the_time_limit_stops_cleanly() {
    let tree = numbered_files(500);
    // At twenty files a second all of them would take 25 seconds.
    let result = count_json(&["--rate", "20", "--limit", "300ms"], &[tree.path()]);
    assert_eq!(result["stopped"], "limit");
    assert_eq!(result["goroutines_left"], 0);
    let files = result["files"].as_u64().unwrap();
    assert!(files < 500, "{result}");
    assert_eq!(result["words"], files, "every file that was read is counted, and has one word: {result}");
}

#[test]
fn a_limit_in_the_middle_of_full_speed_stops_cleanly() {
    let tree = Tree::new();
    let text = Random(1).text(40_000);
    for i in 0..400 {
        fs::write(tree.path().join(i.to_string()), &text).unwrap();
    }
    let result = count_json(&["--limit", "5ms"], &[tree.path()]);
    // A very fast machine may be done before; it must be consistent either way.
    let files = result["files"].as_u64().unwrap();
    assert_eq!(result["bytes"].as_u64().unwrap(), files * text.len() as u64, "{:.300}", result.to_string());
    assert!(files == 400 || result["stopped"] == "limit");
    assert_eq!(result["goroutines_left"], 0);
    let mut once = Counts::default();
    once.add_text(&text);
    assert_eq!(result["words"], once.total() * files);
}

/// Ctrl-C as the kernel sends it. Where the child's signal mask can be seen (Linux), so that it is not sent too early.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_stops_cleanly() {
    let tree = numbered_files(2000);
    let child = Command::new(&*PROGRAM)
        .args(["--json", "--rate", "20"])
        .arg(tree.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_handler(child.id());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());

    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["stopped"], "interrupt");
    assert_eq!(result["goroutines_left"], 0);
    assert_eq!(result["words"], result["files"]);
}

/// Waits until the process catches SIGINT.
#[cfg(target_os = "linux")]
fn wait_for_handler(process: u32) {
    const SIGINT_BIT: u64 = 1 << (2 - 1);
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(caught.trim(), 16).unwrap() & SIGINT_BIT != 0 {
            return;
        }
        assert!(Instant::now() < give_up, "the program never caught SIGINT");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// But a reader that has gone away is none, nor is a stderr that takes nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_result_that_can_not_be_written_is_an_error() {
    let tree = numbered_files(3);
    let to = |stdout: Stdio, stderr: Stdio| {
        let mut program = Command::new(&*PROGRAM);
        program
            .arg(tree.path())
            .arg(tree.path().join("missing"))
            .stdout(stdout)
            .stderr(stderr)
            .status()
            .unwrap()
    };
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(to(full().into(), Stdio::null()).code(), Some(1));
    assert_eq!(to(Stdio::null(), full().into()).code(), Some(0), "the result is what counts");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(to(writer.into(), Stdio::null()).code(), Some(0));
}

#[test]
fn wrong_arguments_are_refused() {
    for args in [
        &["--limit", "soon"][..],
        &["--limit", "5"],
        &["--workers", "0"],
        &["--procs", "0"],
        &["--rate", "0"],
        &["--rate", "1000000001"],
    ] {
        let output = wordcount(args, &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

/// What a count of a tree should give.
#[derive(Default)]
struct Expected {
    counts: Counts,
    files: u64,
    bytes: u64,
    binary: u64,
    skipped: u64,
}

/// The paths of a tree that was grown.
#[derive(Default)]
struct Files {
    files: Vec<PathBuf>,
    /// Directories nobody may read, as far as permissions bind us: root reads them all the same.
    closed: Vec<PathBuf>,
}

/// The reference: one file after the other, each as a whole.
fn count_alone(tree: &Files) -> Expected {
    let mut expected = Expected::default();
    for path in &tree.files {
        match fs::read(path) {
            Err(_) => expected.skipped += 1,
            Ok(text) if text.iter().take(8192).any(|&byte| byte == 0) => expected.binary += 1,
            Ok(text) => {
                expected.files += 1;
                expected.bytes += text.len() as u64;
                expected.counts.add_text(&text);
            }
        }
    }
    expected.skipped += tree.closed.iter().filter(|path| fs::read_dir(path).is_err()).count() as u64;
    expected
}

/// Fills `directory` with random files and directories.
fn grow(directory: &Path, random: &mut Random, depth: u32, files: &mut Files) {
    for i in 0..random.below(12) {
        let path = directory.join(format!("file {i} é"));
        match random.below(10) {
            0 => fs::write(&path, b"").unwrap(),
            1 => fs::write(&path, random.bytes(3000)).unwrap(),
            2 => fs::write(&path, [b"text first\0".as_slice(), &random.text(500)].concat()).unwrap(),
            3 => {
                fs::write(&path, random.text(500)).unwrap();
                close(&path);
            }
            4 => {
                // Text with bytes in between that are no UTF-8.
                let mut text = random.text(2000);
                for _ in 0..20 {
                    let at = random.below(text.len() as u64) as usize;
                    text[at] = 0xff;
                }
                fs::write(&path, text).unwrap();
            }
            _ => {
                let length = random.below(20_000) as usize;
                fs::write(&path, random.text(length)).unwrap();
            }
        }
        files.files.push(path);
    }
    if depth > 0 {
        for i in 0..random.below(4) {
            let path = directory.join(format!("directory {i}"));
            fs::create_dir(&path).unwrap();
            grow(&path, random, depth - 1, files);
        }
        let path = directory.join("closed");
        fs::create_dir(&path).unwrap();
        close(&path);
        files.closed.push(path);
    }
    if depth == 4 {
        // One path that goes deep.
        let mut path = directory.to_path_buf();
        for _ in 0..100 {
            path.push("deeper");
        }
        fs::create_dir_all(&path).unwrap();
        path.push("file");
        fs::write(&path, "the bottom").unwrap();
        files.files.push(path);
    }
}

/// Takes all permissions away.
fn close(path: &Path) {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    #[cfg(not(unix))]
    let _ = path;
}

fn numbered_files(count: usize) -> Tree {
    let tree = Tree::new();
    for i in 0..count {
        write!(fs::File::create(tree.path().join(i.to_string())).unwrap(), "word{i}").unwrap();
    }
    tree
}

static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| common::build_example("wordcount"));

fn wordcount(args: &[&str], paths: &[&Path]) -> Output {
    Command::new(&*PROGRAM).args(args).args(paths).output().expect("the word counter starts")
}

/// Runs with `--json` and every word in `top`; fails unless the exit status is 0.
fn count_json(args: &[&str], paths: &[&Path]) -> Value {
    let args = [args, &["--json", "--top", "1000000000"]].concat();
    let output = wordcount(&args, paths);
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the result is JSON")
}

fn top_of(result: &Value) -> Vec<(String, u64)> {
    serde_json::from_value(result["top"].clone()).expect("`top` is a list of words and counts")
}

fn owned(top: Vec<(&str, u64)>) -> Vec<(String, u64)> {
    top.into_iter().map(|(word, count)| (word.to_string(), count)).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory of its own for a test, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Tree {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gort-wordcount-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Tree(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Closed directories first get their permissions back, or they could not be removed.
        #[cfg(unix)]
        let _ = Command::new("chmod").arg("-R").arg("u+rwX").arg(&self.0).status();
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn seed() -> u64 {
    match std::env::var("WORDCOUNT_SEED") {
        Ok(seed) => seed.parse().expect("WORDCOUNT_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
    }
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// About `length` bytes of words in several scripts, with white space, punctuation and a few line ends.
    fn text(&mut self, length: usize) -> Vec<u8> {
        const LETTERS: &[&str] = &["a", "b", "E", "é", "Ü", "ß", "ж", "Ω", "字", "7", "'", "ı"];
        const GAPS: &[&str] = &[" ", " ", " ", "\n", ", ", ".", "-", "\u{3000}", " — ", "🙂"];
        let mut text = String::new();
        while text.len() < length {
            for _ in 0..=self.below(4) {
                text.push_str(LETTERS[self.below(LETTERS.len() as u64) as usize]);
            }
            text.push_str(GAPS[self.below(GAPS.len() as u64) as usize]);
        }
        text.into_bytes()
    }
}

/// The generator itself: a seed gives one text, and the texts have all kinds of words in them.
#[test]
fn seeds_repeat() {
    assert_eq!(Random(7).text(1000), Random(7).text(1000));
    let mut counts = Counts::default();
    counts.add_text(&Random(7).text(20_000));
    let words: HashSet<String> = owned(counts.top(usize::MAX)).into_iter().map(|(word, _)| word).collect();
    assert!(["é", "ж", "字", "a7"].iter().all(|word| words.contains(*word)));
}
