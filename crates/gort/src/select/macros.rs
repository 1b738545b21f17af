//! The syntax of `select!` and `select_biased!`.
//!
//! A case goes through three stages, each a group of rules of [`__select!`](crate::__select):
//!
//! 1. *read*: one case after the other is taken off the front and put into a uniform shape, a body always in braces.
//! 2. *bind*: each end of a channel is evaluated once, in textual order, and bound to a name. The names of all cases are
//!    the same word, told apart by macro hygiene.
//! 3. *run*: the engine chooses, the chosen case's operation is completed, its body runs.
//!
//! A select over a single receive becomes the plain receive.

/// Waits for several channel operations and does exactly one: Go's `select`.
///
/// ```
/// use std::time::Duration;
///
/// let (tx, rx) = gort::chan(1);
/// let (tx2, rx2) = gort::chan::<&str>(0);
/// tx.send(1).unwrap();
/// gort::select! {
///     recv(rx) -> value => assert_eq!(value, Ok(1)),                 // case v, ok := <-rx:
///     send(tx2, "computed if chosen") -> sent => sent.unwrap(),      // case tx2 <- v:
///     default(Duration::from_secs(1)) => println!("a second passed"),// case <-time.After(time.Second):
/// }
/// gort::select! {
///     recv(rx) -> _ => unreachable!(),
///     recv(rx2) -> _ => unreachable!(),
///     default => println!("nothing is ready"),                       // default:
/// }
/// ```
///
/// If several cases can proceed, a random one is chosen, each with the same chance. Without a `default` the select parks
/// until one can. An operation on a channel that has ended can proceed: its result is an error. One on a
/// [nil](crate::channel::Receiver::nil) channel never can; a select that can never proceed parks for ever, and so does
/// `select! {}`.
///
/// The channel expressions of all cases are evaluated once, in textual order; the value to send only if its case is
/// chosen. Until it is there, whoever is to receive it waits.
///
/// The select is an expression: its value is that of the body which ran. A comma after a body in braces is optional.
#[macro_export]
macro_rules! select {
    ($($cases:tt)*) => {
        $crate::__select!(@read (false) [] [] $($cases)*)
    };
}

/// Like [`select!`](crate::select!), but if several cases can proceed, the first of them is chosen.
///
/// ```
/// let (_quit_tx, quit) = gort::chan::<()>(0);
/// let (tx, rx) = gort::chan(8);
/// tx.send(1).unwrap();
/// gort::select_biased! {
///     recv(quit) -> _ => println!("leaving, whatever else there is"),
///     recv(rx) -> value => assert_eq!(value, Ok(1)),
/// }
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($cases:tt)*) => {
        $crate::__select!(@read (true) [] [] $($cases)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // ---- read: (bias) [cases so far] [default so far] tokens ----
    (@read $bias:tt [$($cases:tt)*] $default:tt) => {
        $crate::__select!(@bind $bias $default () [$($cases)*] [])
    };
    (@read $bias:tt $cases:tt $default:tt recv($rx:expr $(,)?) -> $result:pat => $($rest:tt)+) => {
        $crate::__select!(@body $bias $cases $default {recv ($rx) () ($result)} $($rest)+)
    };
    (@read $bias:tt $cases:tt $default:tt send($tx:expr, $value:expr $(,)?) -> $result:pat => $($rest:tt)+) => {
        $crate::__select!(@body $bias $cases $default {send ($tx) ($value) ($result)} $($rest)+)
    };
    (@read $bias:tt $cases:tt [] default $(())? => $($rest:tt)+) => {
        $crate::__select!(@body $bias $cases [] {default ()} $($rest)+)
    };
    (@read $bias:tt $cases:tt [] default($timeout:expr $(,)?) => $($rest:tt)+) => {
        $crate::__select!(@body $bias $cases [] {default ($timeout)} $($rest)+)
    };

    // What can not be read.
    (@read $bias:tt $cases:tt [$($default:tt)+] default $($rest:tt)*) => {
        ::core::compile_error!("a select has one `default` case at most")
    };
    (@read $bias:tt $cases:tt $default:tt recv($($args:tt)*) => $($rest:tt)*) => {
        ::core::compile_error!("expected `-> pattern` after `recv(..)`, found `=>`")
    };
    (@read $bias:tt $cases:tt $default:tt send($($args:tt)*) => $($rest:tt)*) => {
        ::core::compile_error!("expected `-> pattern` after `send(..)`, found `=>`")
    };
    (@read $bias:tt $cases:tt $default:tt default $(($($args:tt)*))? -> $($rest:tt)*) => {
        ::core::compile_error!("expected `=>` after `default`, found `->`: a default case has no result")
    };
    (@read $bias:tt $cases:tt $default:tt $case:ident $(($($args:tt)*))? $(-> $result:pat)? =>) => {
        ::core::compile_error!(::core::concat!(
            "expected an expression after `=>` of the case `", ::core::stringify!($case), "`"
        ))
    };
    (@read $bias:tt $cases:tt $default:tt recv $($rest:tt)*) => {
        ::core::compile_error!("expected `recv(receiver) -> pattern => body`")
    };
    (@read $bias:tt $cases:tt $default:tt send $($rest:tt)*) => {
        ::core::compile_error!("expected `send(sender, value) -> pattern => body`")
    };
    (@read $bias:tt $cases:tt $default:tt default $($rest:tt)*) => {
        ::core::compile_error!("expected `default => body` or `default(timeout) => body`")
    };
    (@read $bias:tt $cases:tt $default:tt $other:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `recv`, `send` or `default`, found `", ::core::stringify!($other), "`"
        ))
    };

    // A case's body: in braces, or an expression up to the comma.
    (@body $bias:tt $cases:tt $default:tt $head:tt {$($body:tt)*}, $($rest:tt)*) => {
        $crate::__select!(@push $bias $cases $default $head {$($body)*} $($rest)*)
    };
    (@body $bias:tt $cases:tt $default:tt $head:tt $body:expr, $($rest:tt)*) => {
        $crate::__select!(@push $bias $cases $default $head {$body} $($rest)*)
    };
    (@body $bias:tt $cases:tt $default:tt $head:tt {$($body:tt)*} $($rest:tt)*) => {
        $crate::__select!(@push $bias $cases $default $head {$($body)*} $($rest)*)
    };
    (@body $bias:tt $cases:tt $default:tt $head:tt $body:expr) => {
        $crate::__select!(@push $bias $cases $default $head {$body})
    };
    (@body $bias:tt $cases:tt $default:tt $head:tt $($rest:tt)*) => {
        ::core::compile_error!("expected a body and a comma after `=>` of a select's case")
    };

    (@push $bias:tt $cases:tt [] {default $timeout:tt} $body:tt $($rest:tt)*) => {
        $crate::__select!(@read $bias $cases [$timeout $body] $($rest)*)
    };
    (@push $bias:tt [$($cases:tt)*] $default:tt {$kind:ident $end:tt $value:tt $result:tt} $body:tt $($rest:tt)*) => {
        $crate::__select!(@read $bias [$($cases)* {$kind $end $value $result $body}] $default $($rest)*)
    };

    // ---- the simple ones ----
    (@bind $bias:tt [] () [] []) => {
        $crate::__rt_select::for_ever()
    };
    (@bind $bias:tt [() $body:tt] () [] []) => {
        $body
    };
    (@bind $bias:tt [($timeout:expr) $body:tt] () [] []) => {{
        $crate::__rt_select::pass($timeout);
        $body
    }};
    (@bind $bias:tt $default:tt () [{recv ($rx:expr) () ($result:pat) $body:tt}] []) => {
        match $rx {
            ref end => {
                let end: &$crate::channel::Receiver<_> = end;
                $crate::__select!(@one end $default ($result) $body)
            }
        }
    };
    (@one $rx:ident [] ($result:pat) $body:tt) => {{
        let $result = $rx.recv();
        $body
    }};
    (@one $rx:ident [() $default:tt] ($result:pat) $body:tt) => {
        match $rx.try_recv() {
            ::core::result::Result::Err($crate::channel::TryRecvError::Empty) => $default,
            result => {
                let $result = result.map_err(|_| $crate::channel::RecvError);
                $body
            }
        }
    };
    (@one $rx:ident [($timeout:expr) $default:tt] ($result:pat) $body:tt) => {
        match $rx.recv_timeout($timeout) {
            ::core::result::Result::Err($crate::channel::RecvTimeoutError::Timeout) => $default,
            result => {
                let $result = result.map_err(|_| $crate::channel::RecvError);
                $body
            }
        }
    };

    // ---- bind: (bias) [default] (number) [cases to come] [cases bound] ----
    (@bind $bias:tt $default:tt ($($n:tt)*)
        [{recv ($rx:expr) () $result:tt $body:tt} $($more:tt)*] [$($bound:tt)*]) => {
        match $rx {
            ref end => {
                let end: &$crate::channel::Receiver<_> = end;
                $crate::__select!(@bind $bias $default ($($n)* 1 +) [$($more)*]
                    [$($bound)* {recv end () ($($n)* 0) $result $body}])
            }
        }
    };
    (@bind $bias:tt $default:tt ($($n:tt)*)
        [{send ($tx:expr) $value:tt $result:tt $body:tt} $($more:tt)*] [$($bound:tt)*]) => {
        match $tx {
            ref end => {
                let end: &$crate::channel::Sender<_> = end;
                $crate::__select!(@bind $bias $default ($($n)* 1 +) [$($more)*]
                    [$($bound)* {send end $value ($($n)* 0) $result $body}])
            }
        }
    };

    // ---- run ----
    (@bind ($bias:expr) [] $n:tt [] [$({$kind:ident $end:ident $value:tt $number:tt $result:tt $body:tt})+]) => {{
        // SAFETY: the ends are bound around this block, and stay borrowed while a value is computed (`Held`); the memory is bound
        // before the choice.
        let mut memory = $crate::__rt_select::Memory::new();
        let chosen = unsafe {
            $crate::__rt_select::block(&[$($crate::__rt_select::Arm::$kind($end)),+], $bias, &mut memory)
        };
        $crate::__select!(@complete chosen [$({$kind $end $value $number $result $body})+])
    }};
    (@bind ($bias:expr) [() $default:tt] $n:tt []
        [$({$kind:ident $end:ident $value:tt $number:tt $result:tt $body:tt})+]) => {{
        let mut memory = $crate::__rt_select::Memory::new();
        // SAFETY: the ends are bound around this block, and the memory before the choice.
        match unsafe {
            $crate::__rt_select::poll(&[$($crate::__rt_select::Arm::$kind($end)),+], $bias, &mut memory)
        } {
            ::core::option::Option::None => $default,
            ::core::option::Option::Some(chosen) => {
                $crate::__select!(@complete chosen [$({$kind $end $value $number $result $body})+])
            }
        }
    }};
    (@bind ($bias:expr) [($timeout:expr) $default:tt] $n:tt []
        [$({$kind:ident $end:ident $value:tt $number:tt $result:tt $body:tt})+]) => {{
        let timeout = $timeout;
        let mut memory = $crate::__rt_select::Memory::new();
        // SAFETY: the ends are bound around this block, and the memory before the choice.
        match unsafe {
            $crate::__rt_select::block_for(&[$($crate::__rt_select::Arm::$kind($end)),+], $bias, &mut memory, timeout)
        } {
            ::core::option::Option::None => $default,
            ::core::option::Option::Some(chosen) => {
                $crate::__select!(@complete chosen [$({$kind $end $value $number $result $body})+])
            }
        }
    }};

    (@complete $chosen:ident [$({$kind:ident $end:ident $value:tt ($number:expr) ($result:pat) $body:tt})+]) => {
        match $chosen.index() {
            $(
                number if number == $number => {
                    let $result = $crate::__select!(@$kind $chosen $end $value);
                    $body
                }
            )+
            _ => ::core::unreachable!(),
        }
    };
    (@recv $chosen:ident $end:ident ()) => {
        $chosen.recv($end)
    };
    (@send $chosen:ident $end:ident ($value:expr)) => {{
        // Also where the value's computation leaves the select: there the choice is undone, which needs the channel.
        let _held = $crate::__rt_select::Held($end);
        let value = $value;
        $chosen.send($end, value)
    }};
}
