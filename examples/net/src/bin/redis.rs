//! Idea: a library that opens its own sockets and blocks the thread. Goroutines use it as it is.
//!
//! ```text
//! cargo run -p gort-examples-net --bin redis -- redis://127.0.0.1:6379/
//! ```
//!
//! The `redis` crate knows std's sockets only. 64 goroutines each hold a connection and wait for the server in
//! `read(2)`, on two processors and without a word to the runtime: a thread that does not come back in time loses its
//! processor to another one. Each of the goroutines counts up a counter that all share and one of its own, in a
//! pipeline and alone, and in the end all counts are right. One more waits in `BLPOP`, for seconds if need be, until the
//! others have finished.

use std::error::Error;
use std::time::Instant;

use gort::sync::ErrGroup;
use redis::{Client, Commands, RedisResult};

const GOROUTINES: u64 = 64;
const ROUNDS: u64 = 25;

#[gort::main(unsafe(migrate), maxprocs = 2)]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let Some(url) = std::env::args().nth(1) else {
        return Err("usage: redis redis://127.0.0.1:<port>/".into());
    };
    let client = Client::open(url)?;
    let mut connection = client.get_connection()?;
    let () = connection.del(("gort:all", "gort:over"))?;

    let began = Instant::now();
    let patient = client.clone();
    let waiting = gort::go(move || -> RedisResult<(String, u64)> {
        patient.get_connection()?.blpop("gort:over", 0.0) // blocks its thread until the end
    });
    let counting = ErrGroup::new();
    for number in 0..GOROUTINES {
        let client = client.clone();
        counting.go(move || count(&client, number));
    }
    let result: RedisResult<()> = counting.wait();
    result?;

    let all: u64 = connection.get("gort:all")?;
    let () = connection.rpush("gort:over", all)?;
    let (_, told) = waiting.join().map_err(|_| "the waiting goroutine panicked")??;
    if (all, told) != (2 * GOROUTINES * ROUNDS, all) {
        return Err(format!("counted {all} instead of {}, told {told}", 2 * GOROUTINES * ROUNDS).into());
    }
    println!("{GOROUTINES} goroutines counted to {all}");
    eprintln!("in {:.1?}, on {} threads", began.elapsed(), gort::runtime::stats().threads);
    Ok(())
}

fn count(client: &Client, number: u64) -> RedisResult<()> {
    let mut connection = client.get_connection()?;
    let own = format!("gort:own:{number}");
    let () = connection.del(&own)?;
    for round in 1..=ROUNDS {
        let (_, counted): (u64, u64) =
            redis::pipe().incr("gort:all", 1).incr(&own, 1).query(&mut connection)?;
        assert_eq!(counted, round, "nobody else counts {own}");
        let _: u64 = connection.incr("gort:all", 1)?;
    }
    let counted: u64 = connection.get_del(&own)?;
    assert_eq!(counted, ROUNDS);
    Ok(())
}
