//! The text of dumps: goroutines stood in by coroutines, snapshots filled in by hand, the layout checked line by line.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, unused_imports)]
#[path = "../src/dump/mod.rs"]
mod dump;
mod heap_stack;

use std::hint::black_box;
use std::panic::Location;
use std::time::Duration;

use corosensei::{Coroutine, CoroutineResult, Yielder};
use gort_core::deadlock::Deadlock;
use gort_core::ids::WaitReason;
use gort_core::snapshot::{Context, Goroutine, Status};

use dump::fatal::Fatal;
use dump::format::{Options, Traceback};
use dump::unwind::{LiveStack, StackWords as _, capture};
use dump::{Dump, Stack};
use heap_stack::HeapStack;

type Y = Yielder<(), Context>;

/// A coroutine that is parked, and the snapshot that a runtime would give of it.
struct Parked {
    coroutine: Coroutine<(), Context, (), HeapStack>,
    snapshot: Goroutine,
}

impl Drop for Parked {
    fn drop(&mut self) {
        assert!(matches!(self.coroutine.resume(()), CoroutineResult::Return(())));
    }
}

impl Parked {
    fn new(id: u64, body: fn(&Y)) -> Parked {
        let stack = HeapStack::new();
        let top = stack.top();
        let mut coroutine = Coroutine::with_stack(stack, move |yielder: &Y, ()| body(yielder));
        let CoroutineResult::Yield(context) = coroutine.resume(()) else { panic!("the body did not park") };
        let mut snapshot = waiting(id, Some(context));
        // SAFETY: the coroutine is suspended.
        let live = unsafe { LiveStack::new(context.sp..top) };
        snapshot.stack_at = context.sp;
        snapshot.stack = live.range().step_by(8).map(|addr| live.word(addr).unwrap() as usize).collect();
        Parked { coroutine, snapshot }
    }
}

fn waiting(id: u64, context: Option<Context>) -> Goroutine {
    Goroutine {
        id,
        parent: 1,
        name: String::new(),
        status: Status::Waiting,
        reason: WaitReason::ChanReceive,
        waited: Duration::ZERO,
        locked_to_thread: false,
        created_pc: 0,
        created_at: None,
        context,
        stack_at: 0,
        stack: Vec::new(),
    }
}

#[inline(never)]
fn worker(yielder: &Y) {
    yielder.suspend(capture().unwrap());
    black_box(());
}

#[inline(never)]
fn other_worker(yielder: &Y) {
    yielder.suspend(capture().unwrap());
    // Unlike `worker`, which it would be merged with otherwise.
    black_box("other");
}

#[inline(never)]
fn deep_worker(yielder: &Y) {
    black_box(descend(yielder, 1_000));
}

#[inline(never)]
fn descend(yielder: &Y, depth: u32) -> u32 {
    if depth == 0 {
        worker(yielder);
        return black_box(0);
    }
    descend(yielder, depth - 1) + black_box(1)
}

fn collect<'a>(parked: impl IntoIterator<Item = &'a Parked>) -> Dump {
    Dump::collect(parked.into_iter().map(|parked| parked.snapshot.clone()))
}

fn shown(dump: &Dump, options: Options) -> String {
    dump.show(options).to_string()
}

/// The lines that are neither function nor place: headers, ids, creators, elisions.
fn headers(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("goroutine") || line.starts_with("ids ")).collect()
}

#[test]
fn a_goroutine_in_full() {
    let mut parked = Parked::new(18, worker);
    parked.snapshot.waited = Duration::from_secs(200);
    parked.snapshot.name = "worker".into();
    let text = shown(&collect([&parked]), Options::default());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "goroutine 18 [chan receive, 3 minutes labels:{\"name\": \"worker\"}]:");
    let at = lines.iter().position(|line| *line == "dump_format::worker(...)").expect(&text);
    let place = lines[at + 1].strip_prefix('\t').expect(&text);
    let (file, rest) = place.split_once(".rs:").expect(&text);
    let (line, offset) = rest.split_once(" +0x").expect(&text);
    assert!(file.starts_with('/') && file.ends_with("/dump_format"), "{text}");
    assert!(line.parse::<u32>().is_ok() && usize::from_str_radix(offset, 16).is_ok(), "{text}");
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
    // What is below the goroutine's own code is for the full dump.
    assert!(!text.contains("stack_init_trampoline") && !text.contains("corosensei"), "{text}");
    let full = shown(&collect([&parked]), Options { full: true, ..Options::default() });
    assert!(full.contains("\nstack_init_trampoline(...)\n"), "{full}");
}

/// The address and the place of a call in this function.
#[inline(never)]
#[track_caller]
fn spawned_here() -> &'static Location<'static> {
    black_box(Location::caller())
}

#[inline(never)]
fn spawner() -> (usize, &'static Location<'static>) {
    let context = capture().unwrap();
    (context.pc, spawned_here())
}

#[test]
fn where_it_was_started() {
    let mut parked = Parked::new(18, worker);
    let (pc, location) = spawner();
    (parked.snapshot.created_pc, parked.snapshot.created_at) = (pc, Some(location));
    let tail = |parked: &Parked| {
        let text = shown(&collect([parked]), Options::default());
        text[text.find("created by").unwrap()..].to_string()
    };
    let text = tail(&parked);
    let (first, second) = text.split_once("\n\t").unwrap();
    assert_eq!(first, "created by dump_format::spawner in goroutine 1");
    assert!(
        second.starts_with('/') && second.contains(&format!("tests/dump_format.rs:{} +0x", location.line()))
    );
    parked.snapshot.parent = 0;
    assert!(tail(&parked).starts_with("created by dump_format::spawner\n\t"));
}

#[test]
fn headers_of_every_state() {
    let header = |change: &dyn Fn(&mut Goroutine)| {
        let mut snapshot = waiting(3, None);
        change(&mut snapshot);
        shown(&Dump::collect([snapshot]), Options::default())
    };
    assert_eq!(header(&|_| ()), "goroutine 3 [chan receive]:\n");
    assert_eq!(header(&|g| g.reason = WaitReason::None), "goroutine 3 [waiting]:\n");
    assert_eq!(header(&|g| g.waited = Duration::from_secs(59)), "goroutine 3 [chan receive]:\n");
    assert_eq!(header(&|g| g.waited = Duration::from_secs(60)), "goroutine 3 [chan receive, 1 minutes]:\n");
    assert_eq!(header(&|g| g.status = Status::Idle), "goroutine 3 [idle]:\n");
    assert_eq!(header(&|g| g.status = Status::Runnable), "goroutine 3 [runnable]:\n");
    assert_eq!(
        header(&|g| g.status = Status::Running),
        "goroutine 3 [running]:\n\tgoroutine running on other thread; stack unavailable\n"
    );
    let all = |g: &mut Goroutine| {
        (g.waited, g.locked_to_thread) = (Duration::from_secs(3600), true);
        g.name = "a]\"\\\n\u{7}é".into();
    };
    assert_eq!(
        header(&all),
        "goroutine 3 [chan receive, 60 minutes, locked to thread labels:{\"name\": \"a\\x5d\\\"\\\\\\n\\u0007é\"}]:\n"
    );
}

#[test]
fn entries_are_ordered_with_the_current_first() {
    let parked: Vec<Parked> = [30, 10, 20].map(|id| Parked::new(id, worker)).into();
    let dump = collect(&parked);
    let of = |current| shown(&dump, Options { current, ..Options::default() });
    let ids = |text: &str| headers(text).iter().map(|line| line[10..12].to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&of(None)), ["10", "20", "30"]);
    assert_eq!(ids(&of(Some(20))), ["20", "10", "30"]);
    assert_eq!(of(None).matches("\n\n").count(), 2);
    assert!(dump.goroutines.iter().all(|goroutine| goroutine.stack == dump.goroutines[0].stack));
    let only = Options { current: Some(20), only_current: true, ..Options::default() };
    assert_eq!(ids(&shown(&dump, only)), ["20"]);
}

#[test]
fn deep_stacks_are_cut_in_the_middle() {
    let parked = Parked::new(5, deep_worker);
    for full in [true, false] {
        let text = shown(&collect([&parked]), Options { full, ..Options::default() });
        let elided = text.lines().position(|line| line.ends_with(" frames elided...")).expect(&text);
        let frames = text.lines().filter(|line| line.starts_with('\t')).count();
        assert_eq!(elided, 1 + 2 * 50, "{text}");
        assert!((51..=100).contains(&frames), "{frames}");
        assert!(text.lines().nth(elided).unwrap().starts_with("..."));
        assert!(text.contains("dump_format::deep_worker(...)"), "{text}");
    }
}

#[test]
fn equal_goroutines_are_one_entry() {
    let mut parked: Vec<Parked> = [1, 2, 3, 7, 9, 10].map(|id| Parked::new(id, worker)).into();
    parked.push(Parked::new(5, other_worker));
    parked.push(Parked::new(6, worker));
    parked[1].snapshot.waited = Duration::from_secs(130);
    parked[7].snapshot.reason = WaitReason::Select;
    let dump = collect(&parked);
    let text = shown(&dump, Options { group_equal: true, current: Some(2), ..Options::default() });
    assert_eq!(
        headers(&text),
        [
            "goroutine 2 [chan receive, 2 minutes]:",
            "5 goroutines [chan receive]:",
            "ids 1, 3, 7, 9-10",
            "goroutine 5 [chan receive]:",
            "goroutine 6 [select]:",
        ]
    );
    let together = shown(&dump, Options { group_equal: true, ..Options::default() });
    assert_eq!(
        headers(&together)[..2],
        ["6 goroutines [chan receive, up to 2 minutes]:", "ids 1-3, 7, 9-10"]
    );
}

#[test]
fn many_goroutines_are_grouped_and_their_ids_bounded() {
    let one = Parked::new(1, worker);
    let crowd = |step: usize| {
        let ids = (1..=2_000).step_by(step);
        Dump::collect(ids.map(|id| Goroutine { id, ..one.snapshot.clone() }))
    };
    let dump = crowd(1);
    assert!(Options::for_dump(&dump).group_equal);
    let text = shown(&dump, Options::for_dump(&dump));
    assert!(text.starts_with("2000 goroutines [chan receive]:\nids 1-2000\n"), "{text}");
    let text = shown(&crowd(2), Options { group_equal: true, ..Options::default() });
    assert_eq!(
        text.lines().nth(1).unwrap(),
        "ids 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, and 984 more"
    );
}

#[test]
fn a_dump_outlives_the_stacks_it_was_made_from() {
    let parked = Parked::new(4, worker);
    let dump = collect([&parked]);
    let before = shown(&dump, Options::default());
    drop(parked);
    assert_eq!(shown(&dump, Options::default()), before);
    assert!(matches!(dump.goroutines[0].stack, Stack::Walked(_)));
}

#[inline(never)]
fn dumps_itself(top: usize) -> String {
    let context = capture().unwrap();
    let snapshot = Goroutine { status: Status::Running, stack_at: top, ..waiting(8, None) };
    let mut dump = Dump::collect([waiting(7, None), snapshot]);
    assert_eq!(dump.goroutines[1].stack, Stack::Elsewhere);
    // SAFETY: `top` is the end of the stack that this runs on, and this frame is live.
    unsafe { dump.add_own_stack(8, context) };
    black_box(shown(&dump, Options { current: Some(8), ..Options::default() }))
}

#[test]
fn a_goroutine_can_dump_its_own_stack() {
    let stack = HeapStack::new();
    let top = stack.top();
    let mut coroutine = Coroutine::with_stack(stack, move |_: &Yielder<(), ()>, ()| dumps_itself(top));
    let CoroutineResult::Return(text) = coroutine.resume(()) else { panic!("nothing parks here") };
    assert!(text.starts_with("goroutine 8 [running]:\n"), "{text}");
    assert!(text.contains("dump_format::dumps_itself(...)\n"), "{text}");
    assert!(text.ends_with("\n\ngoroutine 7 [chan receive]:\n"), "{text}");
}

#[test]
fn levels_of_the_variable() {
    for (value, level) in [
        (None, Traceback::Single),
        (Some(""), Traceback::Single),
        (Some("single"), Traceback::Single),
        (Some("none"), Traceback::None),
        (Some("0"), Traceback::None),
        (Some("all"), Traceback::All),
        (Some("1"), Traceback::All),
        (Some("system"), Traceback::System),
        (Some("2"), Traceback::System),
        (Some("what"), Traceback::All),
    ] {
        assert_eq!(Traceback::parse(value), level, "{value:?}");
    }
}

#[test]
fn fatal_errors_show_what_the_level_allows() {
    let parked: Vec<Parked> = [1, 2].map(|id| Parked::new(id, worker)).into();
    let dump = collect(&parked);
    let text = |traceback, current| {
        Fatal { message: Deadlock::AllAsleep.text(), current, dump: &dump, traceback }.to_string()
    };
    const FIRST: &str = "fatal error: all goroutines are asleep - deadlock!\n";
    assert_eq!(text(Traceback::None, None), FIRST);
    let all = text(Traceback::Single, None);
    assert!(all.starts_with(&format!("{FIRST}\ngoroutine 1 [chan receive]:\n")), "{all}");
    assert_eq!(headers(&all).len(), 3);
    assert_eq!(headers(&text(Traceback::Single, Some(2)))[1..], ["goroutine 2 [chan receive]:"]);
    assert_eq!(headers(&text(Traceback::All, Some(2))).len(), 3);
    assert!(text(Traceback::System, None).contains("stack_init_trampoline"));
}

#[test]
fn a_dump_can_be_made_on_a_small_stack() {
    let parked = Parked::new(4, worker);
    let snapshot = parked.snapshot.clone();
    let text = std::thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(move || shown(&Dump::collect([snapshot]), Options::default()));
    assert!(text.unwrap().join().unwrap().contains("dump_format::worker(...)"));
}

#[test]
fn collecting_twice_gives_the_same() {
    let parked = Parked::new(4, worker);
    let texts = [(); 2].map(|()| shown(&collect([&parked]), Options::default()));
    assert_eq!(texts[0], texts[1]);
}
