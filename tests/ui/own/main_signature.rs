//! What can not be the main goroutine.

#[gort::main(unsafe(migrate))]
async fn future() {}

#[gort::main(unsafe(migrate))]
fn arguments(args: Vec<String>) {
    drop(args);
}

#[gort::main(unsafe(migrate))]
fn generic<T>() {}

#[gort::main(unsafe(migrate))]
const unsafe extern "C" fn everything<T>(_: T)
where
    T: Copy,
{
}

#[gort::main(unsafe(migrate))]
struct NoFunction;

struct Type;

impl Type {
    #[gort::main(unsafe(migrate))]
    fn method(&self) {}
}

fn main() {}
