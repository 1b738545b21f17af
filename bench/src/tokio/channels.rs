//! Channels without select. tokio's own are bounded from one slot up and have
//! one receiver; the others are flume's and async-channel's.

use gort_bench::{BUFFER, CROWD, Meter, PAIRS, Sample, work::share, work::sum_below};
use tokio::sync::mpsc;

/// tokio has no unbuffered channel: one slot each way, so that a round trip
/// still takes two switches.
pub(crate) async fn pingpong(n: u64) -> Sample {
    let meter = Meter::start();
    let sum = one_pair(n).await;
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

async fn one_pair(n: u64) -> u64 {
    let (ping, mut pinged) = mpsc::channel::<u64>(1);
    let (pong, mut ponged) = mpsc::channel::<u64>(1);
    tokio::spawn(async move {
        while let Some(v) = pinged.recv().await {
            pong.send(v + 1).await.unwrap();
        }
    });
    let mut sum = 0;
    for i in 0..n {
        ping.send(i).await.unwrap();
        sum += ponged.recv().await.unwrap();
    }
    drop(ping);
    assert_eq!(ponged.recv().await, None);
    sum
}

pub(crate) async fn pingpong_flume(n: u64) -> Sample {
    let meter = Meter::start();
    let (ping, pinged) = flume::bounded::<u64>(0);
    let (pong, ponged) = flume::bounded::<u64>(0);
    tokio::spawn(async move {
        while let Ok(v) = pinged.recv_async().await {
            pong.send_async(v + 1).await.unwrap();
        }
    });
    let mut sum = 0;
    for i in 0..n {
        ping.send_async(i).await.unwrap();
        sum += ponged.recv_async().await.unwrap();
    }
    drop(ping);
    assert!(ponged.recv_async().await.is_err());
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}

pub(crate) async fn pingpong_pairs(n: u64) -> Sample {
    let meter = Meter::start();
    let pairs: Vec<_> = (0..PAIRS).map(|i| tokio::spawn(one_pair(share(n, PAIRS, i)))).collect();
    let mut sum = 0;
    for pair in pairs {
        sum += pair.await.unwrap();
    }
    let sample = meter.stop(n);
    assert_eq!(sum, n + (0..PAIRS).map(|i| sum_below(share(n, PAIRS, i))).sum::<u64>());
    sample
}

/// tokio's own channel: many senders, one receiver.
pub(crate) async fn stream(n: u64, senders: u64) -> Sample {
    let meter = Meter::start();
    let (tx, mut rx) = mpsc::channel::<u64>(BUFFER);
    for i in 0..senders {
        let tx = tx.clone();
        tokio::spawn(async move {
            for j in 0..share(n, senders, i) {
                tx.send(j).await.unwrap();
            }
        });
    }
    drop(tx);
    let receiver = tokio::spawn(async move {
        let (mut sum, mut count) = (0, 0);
        while let Some(v) = rx.recv().await {
            sum += v;
            count += 1;
        }
        (sum, count)
    });
    let received = receiver.await.unwrap();
    let sample = meter.stop(n);
    assert_eq!(received, (wanted(n, senders), n));
    sample
}

/// Channels with many receivers; the variants differ in the names alone.
macro_rules! stream {
    ($channel:expr, $send:ident, $recv:ident, $n:expr, $senders:expr, $receivers:expr) => {{
        let meter = Meter::start();
        let (tx, rx) = $channel;
        for i in 0..$senders {
            let tx = tx.clone();
            tokio::spawn(async move {
                for j in 0..share($n, $senders, i) {
                    tx.$send(j).await.unwrap();
                }
            });
        }
        drop(tx);
        let mut receivers = Vec::new();
        for _ in 0..$receivers {
            let rx = rx.clone();
            receivers.push(tokio::spawn(async move {
                let (mut sum, mut count) = (0, 0);
                while let Ok(v) = rx.$recv().await {
                    sum += v;
                    count += 1;
                }
                (sum, count)
            }));
        }
        let (mut sum, mut count) = (0, 0);
        for receiver in receivers {
            let (s, k) = receiver.await.unwrap();
            sum += s;
            count += k;
        }
        let sample = meter.stop($n);
        assert_eq!((sum, count), (wanted($n, $senders), $n));
        sample
    }};
}

pub(crate) async fn stream_flume(n: u64, capacity: usize, senders: u64, receivers: u64) -> Sample {
    stream!(flume::bounded::<u64>(capacity), send_async, recv_async, n, senders, receivers)
}

pub(crate) async fn stream_async_channel(n: u64) -> Sample {
    stream!(async_channel::bounded::<u64>(BUFFER), send, recv, n, CROWD, CROWD)
}

/// What the receivers must have summed up.
pub(crate) fn wanted(n: u64, senders: u64) -> u64 {
    (0..senders).map(|i| sum_below(share(n, senders, i))).sum()
}

/// The far side is an OS thread, with the blocking calls that tokio has for this.
pub(crate) async fn crossing(n: u64) -> Sample {
    let meter = Meter::start();
    let (ping, mut pinged) = mpsc::channel::<u64>(1);
    let (pong, mut ponged) = mpsc::channel::<u64>(1);
    std::thread::spawn(move || {
        while let Some(v) = pinged.blocking_recv() {
            pong.blocking_send(v + 1).unwrap();
        }
    });
    let mut sum = 0;
    for i in 0..n {
        ping.send(i).await.unwrap();
        sum += ponged.recv().await.unwrap();
    }
    drop(ping);
    assert_eq!(ponged.recv().await, None);
    let sample = meter.stop(n);
    assert_eq!(sum, sum_below(n) + n);
    sample
}
