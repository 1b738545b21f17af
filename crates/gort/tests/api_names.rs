//! The public face, name by name: programs are written against exactly these, so this file only has to compile, and to
//! run through without surprises.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gort::channel::{
    IntoIter, Iter, ReadyTimeoutError, Receiver, RecvError, RecvTimeoutError, Select, SelectTimeoutError,
    SelectedOperation, SendError, SendTimeoutError, Sender, TryIter, TryReadyError, TryRecvError,
    TrySelectError, TrySendError, after, at, bounded, never, tick, unbounded,
};
use gort::runtime::{self, GoroutineId, PanicPolicy, Stats};
use gort::sync::{
    Barrier, Condvar, ErrGroup, LazyLock, Map, Mutex, Once, OnceLock, Pool, RwLock, Semaphore, SingleFlight,
    WaitGroup, atomic,
};

gort::local! { static NAME: Cell<u32> = Cell::new(0); }
gort::local! { static LIST: RefCell<Vec<u32>> = RefCell::new(Vec::new()); }

#[gort::test(unsafe(migrate))]
fn goroutines() {
    let handle: gort::JoinHandle<i32> = gort::go(|| 1);
    let _: GoroutineId = handle.id();
    let _: Option<&str> = handle.name();
    let _: bool = handle.is_finished();
    let joined: std::thread::Result<i32> = handle.join();
    assert_eq!(joined.unwrap(), 1);
    gort::go!(drop(String::new()));
    gort::go! {
        let x = String::new();
        drop(x);
    }
    let borrowed = [1, 2, 3];
    let sum: i32 = gort::scope(|s| {
        let handle = s.go(|| borrowed.iter().sum::<i32>());
        s.go(|| assert_eq!(borrowed.len(), 3));
        handle.join().unwrap()
    });
    assert_eq!(sum, 6);
    let built: std::io::Result<gort::JoinHandle<()>> =
        gort::Builder::new().name("x").stack_size(128 * 1024).go(|| ());
    built.unwrap().join().unwrap();
    gort::gosched();
    assert!(gort::go(|| gort::goexit()).join().is_err());
    gort::sleep(Duration::from_micros(10));
    assert_eq!(gort::blocking(|| 2), 2);
    assert_eq!(gort::pin_thread(|| 3), 3);
    assert_eq!(gort::maybe_grow(1024, 1 << 20, || 4), 4);
    assert_eq!(gort::block_on(async { 5 }), 5);
    gort::lock_os_thread();
    gort::unlock_os_thread();
    // SAFETY: nothing in this test keeps a thread-local across a park.
    assert_eq!(unsafe { gort::run(|| 6) }, 6);
    NAME.set(NAME.get() + 1);
    assert_eq!((NAME.take(), NAME.replace(9)), (1, 0));
    NAME.with(|name| assert_eq!(name.get(), 9));
    LIST.with_borrow_mut(|list| list.push(1));
}

#[gort::test(unsafe(migrate))]
fn the_runtime() {
    let old: usize = runtime::gomaxprocs(0);
    assert_eq!(runtime::gomaxprocs(old), old);
    assert!(runtime::num_cpu() >= 1 && runtime::num_goroutine() >= 1);
    let _: Option<GoroutineId> = runtime::goroutine_id();
    runtime::set_max_threads(10_000);
    runtime::set_max_stack(1 << 30);
    runtime::set_panic_policy(PanicPolicy::Continue);
    let dump: String = runtime::dump();
    assert!(dump.contains("goroutine "));
    let Stats {
        goroutines: _,
        running: _,
        runnable: _,
        waiting: _,
        blocked: _,
        threads: _,
        idle_threads: _,
        processors: _,
        idle_processors: _,
        global_queue: _,
        local_queues,
        created: _,
        parks: _,
        steals: _,
        handoffs: _,
        preemptions: _,
        polls: _,
        timers: _,
        ..
    } = runtime::stats();
    let _: Vec<usize> = local_queues;
}

#[gort::test(unsafe(migrate))]
fn channels() {
    let (tx, rx): (Sender<i32>, Receiver<i32>) = gort::chan::<i32>(1);
    let _: Result<(), SendError<i32>> = tx.send(1);
    let _: Result<(), TrySendError<i32>> = tx.try_send(2);
    let _: Result<(), SendTimeoutError<i32>> = tx.send_timeout(3, Duration::ZERO);
    let _: Result<(), SendTimeoutError<i32>> = tx.send_deadline(3, Instant::now());
    let _: Result<i32, RecvError> = rx.recv();
    let _: Result<i32, TryRecvError> = rx.try_recv();
    let _: Result<i32, RecvTimeoutError> = rx.recv_timeout(Duration::ZERO);
    let _: Result<i32, RecvTimeoutError> = rx.recv_deadline(Instant::now());
    let _: Iter<'_, i32> = rx.iter();
    let _: TryIter<'_, i32> = rx.try_iter();
    let _: IntoIter<i32> = rx.clone().into_iter();
    assert_eq!((tx.len(), tx.capacity(), tx.is_empty(), tx.is_full()), (0, Some(1), true, false));
    assert_eq!((rx.len(), rx.capacity(), rx.is_empty(), rx.is_full()), (0, Some(1), true, false));
    assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
    assert!(!tx.is_closed() && !rx.is_closed());
    gort::block_on(async {
        tx.send_async(7).await.unwrap();
        assert_eq!(rx.recv_async().await, Ok(7));
    });
    let _stream = rx.stream();
    tx.close();
    assert_eq!(tx.send(1).unwrap_err().to_string(), "send on closed channel");
    assert!((&rx).into_iter().next().is_none());
    let (_nil_tx, _nil_rx): (Sender<i32>, Receiver<i32>) = (Sender::nil(), Receiver::nil());
    let (utx, urx) = unbounded::<i32>();
    utx.send(1).unwrap();
    let (btx, _brx) = bounded::<i32>(1);
    let never = never::<i32>();
    let soon: Receiver<Instant> = after(Duration::from_millis(1));
    let _then: Receiver<Instant> = at(Instant::now());
    let _ticks: Receiver<Instant> = tick(Duration::from_millis(1));
    let got = gort::select! {
        recv(urx) -> msg => msg.unwrap(),
        recv(never) -> _ => unreachable!(),
    };
    assert_eq!(got, 1);
    gort::select! {
        send(btx, 5) -> res => res.unwrap(),
        recv(never) -> _ => unreachable!(),
        default => unreachable!(),
    }
    gort::select! {
        recv(never) -> _ => unreachable!(),
        default(Duration::from_millis(1)) => {}
    }
    gort::select_biased! {
        recv(never) -> _ => unreachable!(),
        recv(soon) -> at => assert!(at.is_ok()),
    }
    dynamic_select(&urx, &utx);
}

fn dynamic_select(rx: &Receiver<i32>, tx: &Sender<i32>) {
    let mut select = Select::new();
    let recv = select.recv(rx);
    let _: Result<SelectedOperation<'_>, TrySelectError> = select.try_select();
    let _: Result<SelectedOperation<'_>, SelectTimeoutError> = select.select_timeout(Duration::ZERO);
    let _: Result<usize, TryReadyError> = select.try_ready();
    let _: Result<usize, ReadyTimeoutError> = select.ready_timeout(Duration::ZERO);
    let send = select.send(tx);
    select.remove(recv);
    let chosen = select.select();
    assert_eq!(chosen.index(), send);
    chosen.send(tx, 1).unwrap();
    assert_eq!(select.ready(), send);
    let _biased = Select::new_biased();
}

#[gort::test(unsafe(migrate))]
fn sync() {
    let wg = WaitGroup::new();
    wg.add(1);
    wg.go(|| ());
    wg.clone().done();
    wg.wait();
    let (mutex, condvar) = (Mutex::new(1), Condvar::new());
    assert!(mutex.try_lock().is_some());
    let guard = mutex.lock();
    let (guard, timed_out) = condvar.wait_timeout(guard, Duration::from_millis(1));
    assert!(timed_out.timed_out());
    let _guard = condvar.wait_while(guard, |value| *value != 1);
    condvar.notify_one();
    condvar.notify_all();
    let lock = RwLock::new(1);
    assert!(lock.try_read().is_some() && lock.try_write().is_some());
    drop(lock.read());
    *lock.write() = 2;
    Once::new().call_once(|| ());
    assert_eq!(*OnceLock::new().get_or_init(|| 1), 1);
    static LAZY: LazyLock<i32> = LazyLock::new(|| 3);
    assert_eq!(*LAZY, 3);
    Barrier::new(1).wait();
    let semaphore = Semaphore::new(2);
    semaphore.acquire(1);
    assert!(semaphore.try_acquire(1));
    semaphore.release(2);
    let pool = Pool::new(Vec::<u8>::new);
    let item: Vec<u8> = pool.get();
    pool.put(item);
    maps();
    let _: usize = atomic::AtomicUsize::new(1).into_inner();
}

fn maps() {
    let map: Map<i32, i32> = Map::new();
    map.insert(1, 1);
    assert_eq!(map.get(&1), Some(1));
    assert_eq!(map.get_or_insert_with(2, || 2), 2);
    assert!(map.compare_and_swap(&1, &1, 10));
    let mut seen = 0;
    map.range(|&_k, &v| {
        seen += v;
        true
    });
    assert_eq!((seen, map.len(), map.remove(&1)), (12, 2, Some(10)));
    map.clear();
    let flight: SingleFlight<&str, i32> = SingleFlight::new();
    assert_eq!(flight.run("key", || 1), 1);
    assert_eq!(flight.run_shared("key", || 2), (2, false));
    let group: ErrGroup<String> = ErrGroup::new();
    group.set_limit(2);
    group.go(|| Ok(()));
    group.go(|| Err("no".to_string()));
    assert_eq!(group.wait(), Err("no".to_string()));
    let (ctx, _cancel) = gort::context::background().with_cancel();
    let (_group, _ctx): (ErrGroup<String>, gort::context::Context) = ErrGroup::with_context(&ctx);
    let (_group, _ctx): (ErrGroup<String>, gort::context::Context) = ErrGroup::with_context(ctx);
}

#[gort::test(unsafe(migrate))]
fn time_and_context() {
    use gort::time;
    time::sleep(Duration::from_micros(1));
    let _: Receiver<Instant> = time::after(Duration::from_millis(1));
    let _: Receiver<Instant> = time::tick(Duration::from_millis(1));
    let (tx, rx) = gort::chan(1);
    let timer: time::Timer = time::after_func(Duration::from_millis(1), move || {
        let _ = tx.try_send(());
    });
    rx.recv().unwrap();
    assert!(!timer.stop());
    let timer = time::Timer::new(Duration::from_secs(60));
    let _: &Receiver<Instant> = timer.c();
    assert!(timer.reset(Duration::from_millis(1)));
    timer.c().recv().unwrap();
    let ticker = time::Ticker::new(Duration::from_millis(1));
    ticker.c().recv().unwrap();
    ticker.reset(Duration::from_millis(2));
    ticker.stop();
    contexts();
}

fn contexts() {
    let background = gort::context::background();
    let (ctx, cancel) = background.with_cancel();
    let valued = ctx.with_value(7u32);
    assert_eq!(valued.value::<u32>(), Some(Arc::new(7)));
    let free = ctx.without_cancel();
    let _stop = ctx.after_func(|| ());
    cancel.cancel();
    ctx.done().recv().unwrap_err();
    assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
    assert!(free.err().is_none() && ctx.cause().is_some() && ctx.deadline().is_none());
    let (ctx, cancel) = background.with_cancel_cause();
    cancel.cancel_cause("because");
    assert_eq!(ctx.cause().unwrap().to_string(), "because");
    let (ctx, _cancel) = background.with_timeout(Duration::from_millis(1));
    ctx.done().recv().unwrap_err();
    assert_eq!(ctx.err().unwrap().to_string(), "context deadline exceeded");
    let (ctx, _cancel) = background.with_deadline(Instant::now() + Duration::from_secs(60));
    assert!(ctx.deadline().is_some());
}

#[gort::test(unsafe(migrate))]
fn sockets() {
    use gort::net::{
        Incoming, Poll, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixIncoming, UnixListener,
        UnixStream,
    };
    use std::io::{self, Read, Write};
    use std::net::SocketAddr;

    let listener: TcpListener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    let client: TcpStream = TcpStream::connect(addr).unwrap();
    let _: TcpStream = TcpStream::connect_timeout(&addr, Duration::from_secs(9)).unwrap();
    let (mut server, _): (TcpStream, SocketAddr) = listener.accept().unwrap();
    let mut incoming: Incoming<'_> = listener.incoming();
    let _: Option<io::Result<TcpStream>> = incoming.next();
    listener.set_deadline(Instant::now() + Duration::from_secs(9)).unwrap();
    client.set_deadline(Some(Instant::now() + Duration::from_secs(9))).unwrap();
    client.set_read_deadline(None).unwrap();
    client.set_write_deadline(None).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(9))).unwrap();
    client.set_write_timeout(None).unwrap();
    (&client).write_all(b"abc").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "abc");
    let clone: TcpStream = client.try_clone().unwrap();
    clone.close();
    listener.close();
    assert!(listener.accept().is_err());
    let std: std::net::TcpStream = client.into();
    let _: TcpStream = std.into();

    let udp: UdpSocket = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
    let _: (usize, SocketAddr) = udp.recv_from(&mut [0; 1]).unwrap();
    udp.close();
    let (here, there): (UnixStream, UnixStream) = UnixStream::pair().unwrap();
    let _: io::Result<UnixListener> = UnixListener::bind("");
    let _: fn(&UnixListener) -> UnixIncoming<'_> = UnixListener::incoming;
    let (_datagrams, _): (UnixDatagram, UnixDatagram) = UnixDatagram::pair().unwrap();
    let poll: Poll = Poll::new(&here).unwrap();
    poll.writable().unwrap();
    (&there).write_all(b"x").unwrap();
    Poll::new(&here).unwrap().readable().unwrap();
    poll.close();
}

#[gort::test(unsafe(migrate))]
fn files_programs_and_input() {
    use std::io::{self, Read, Seek, Write};

    use gort::fs::{self, DirBuilder, DirEntry, File, FileTimes, FileType, Metadata, OpenOptions, ReadDir};
    use gort::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};

    fn streams<T: Read + Write + Seek + From<std::fs::File> + Into<std::fs::File> + std::os::fd::AsFd>() {}
    streams::<File>();
    let directory = std::env::temp_dir().join(format!("gort-names-{}", std::process::id()));
    DirBuilder::new().recursive(true).create(&directory).unwrap();
    let path = directory.join("file");
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).open(&path).unwrap();
    write!(&file, "{}", 1).and_then(|()| file.rewind()).unwrap();
    let metadata: Metadata = fs::metadata(&path).unwrap();
    let _: (FileType, fs::Permissions, FileTimes) =
        (metadata.file_type(), metadata.permissions(), FileTimes::new());
    let mut entries: ReadDir = fs::read_dir(&directory).unwrap();
    let entry: io::Result<DirEntry> = entries.next().unwrap();
    assert_eq!(entry.unwrap().path(), path);
    assert_eq!(fs::read_to_string(&path).unwrap(), "1");
    fs::remove_dir_all(&directory).unwrap();

    let mut command = Command::new("true");
    let mut child: Child = command.stdin(Stdio::null()).spawn().unwrap();
    let _: (&Option<ChildStdin>, &Option<ChildStdout>, &Option<ChildStderr>) =
        (&child.stdin, &child.stdout, &child.stderr);
    let _: u32 = child.id();
    let status: io::Result<ExitStatus> = child.wait();
    let output: io::Result<Output> = command.output();
    assert!(status.unwrap().success() && output.unwrap().status.success());
    assert!(command.status().unwrap().success());
    assert_eq!(gort::process::id(), std::process::id());

    let stdin: gort::io::Stdin = gort::io::stdin();
    let _: gort::io::Lines = stdin.lines();
}

#[gort::test(unsafe(migrate))]
fn signals() {
    use gort::signal::{
        self, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SignalError,
    };
    let _: [i32; 6] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
    let rx: Receiver<i32> = signal::notify(&[SIGWINCH]);
    let (ctx, cancel): (gort::context::Context, gort::context::CancelFn) =
        signal::notify_context(gort::context::background(), &[SIGCHLD]);
    cancel.cancel();
    assert!(ctx.cause().unwrap().downcast_ref::<SignalError>().is_none());
    signal::stop(&rx);
    signal::ignore(&[SIGWINCH]);
    assert!(signal::ignored(SIGWINCH));
    signal::reset(&[SIGWINCH]);
}
