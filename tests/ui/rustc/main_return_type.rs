//! A return type has to be an exit status, and it is the return type that is pointed at.

#[gort::main(unsafe(migrate))]
fn main() -> u32 {
    3
}
