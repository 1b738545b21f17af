// The Go side of the bench: the same scenarios as the Rust peers, standard
// library only. `bench-go --list` or `bench-go <scenario>[@<with>] [size]`;
// GOMAXPROCS is Go's own variable. See ../README.md for what each one does.
package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	batch       = 1000  // tasks that are spawned and waited for at a time
	crowd       = 4     // senders, and receivers, where there are many
	lockers     = 8     // tasks that fight for one lock
	writeEvery  = 1000  // one in so many of rwmutex_read is a write
	buffer      = 128   // of the channels whose scenario ends in _128
	watchers    = 10000 // tasks that all select over one done channel
	permitTasks = 400   // tasks that share a channel used as a semaphore
	permits     = 16    // capacity of that channel
	pairs       = 1000  // of pingpong_pairs
)

type scenario struct {
	name, with string
	size       int
	body       func(n int) sample
}

var table = []scenario{
	{"yield_2", "", 5_000_000, yield2},
	{"spawn_join", "", 2_000_000, spawnJoin},
	{"spawn_chain", "", 2_000_000, spawnChain},
	{"parked_1m", "", 1_000_000, parked},
	{"pingpong", "", 1_000_000, pingpong},
	{"chan_spsc_unbuf", "", 3_000_000, func(n int) sample { return stream(n, 0, 1, 1) }},
	{"chan_spsc_128", "", 10_000_000, func(n int) sample { return stream(n, buffer, 1, 1) }},
	{"chan_mpsc_128", "", 10_000_000, func(n int) sample { return stream(n, buffer, crowd, 1) }},
	{"chan_mpmc_128", "", 10_000_000, func(n int) sample { return stream(n, buffer, crowd, crowd) }},
	{"chan_mpmc_unbuf", "", 2_000_000, func(n int) sample { return stream(n, 0, crowd, crowd) }},
	{"select2", "", 2_000_000, select2},
	{"select8", "", 1_000_000, select8},
	{"select_default", "", 100_000_000, selectDefault},
	{"mutex_uncontended", "", 50_000_000, mutexUncontended},
	{"mutex_contended", "", 10_000_000, mutexContended},
	{"rwmutex_read", "", 20_000_000, rwmutexRead},
	{"waitgroup_fanout", "", 1_000_000, waitgroupFanout},
	{"timers_sleep", "", 200_000, timersSleep},
	{"timer_reset", "", 5_000_000, timerReset},
	{"timer_reset", "func", 5_000_000, timerResetFunc},
	{"skynet", "", 1_000_000, skynet},
	{"sieve", "", 3_000, sieve},
	{"forkjoin_fib", "", 1_000_000, forkjoinFib},
	{"parallel_sort", "", 4_000_000, parallelSort},
	{"chan_value_16", "", 5_000_000, func(n int) sample { return values[[16]byte](n) }},
	{"chan_value_256", "", 5_000_000, func(n int) sample { return values[[256]byte](n) }},
	{"chan_value_64k", "", 50_000, func(n int) sample { return values[[65528]byte](n) }},
	{"select_done_10k", "", 500_000, selectDone},
	{"semaphore_chan", "", 5_000_000, semaphoreChan},
	{"pingpong_pairs", "", 1_000_000, pingpongPairs},
	{"pinned_pingpong", "", 50_000, func(n int) sample { return pinnedPingpong(n, false, true) }},
	{"pinned_pingpong", "both", 50_000, func(n int) sample { return pinnedPingpong(n, true, true) }},
	{"pinned_pingpong", "none", 1_000_000, func(n int) sample { return pinnedPingpong(n, false, false) }},
	{"pinned_handoff", "", 100_000, func(n int) sample { return pinnedHandoff(n, true, false) }},
	{"pinned_handoff", "both", 100_000, func(n int) sample { return pinnedHandoff(n, true, true) }},
	{"pinned_handoff", "none", 2_000_000, func(n int) sample { return pinnedHandoff(n, false, false) }},
	{"preempt_latency", "", 2_000, preemptLatency},
	{"blocking_calls", "", 3_200, blockingCalls},
	{"blocking_announced", "", 3_200, blockingCalls},
	{"tcp_echo", "", 200_000, tcpEcho},
	{"idle_conns", "", 5_000, idleConns},
	{"http_hello", "", 2_000, func(n int) sample { return httpHello(n, 64) }},
	{"http_hello_1000", "", 2_000, func(n int) sample { return httpHello(n, 1000) }},
}

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	if os.Args[1] == "--list" {
		for _, s := range table {
			with := s.with
			if with == "" {
				with = "-"
			}
			fmt.Println(s.name, with, s.size)
		}
		return
	}
	name, with, _ := strings.Cut(os.Args[1], "@")
	for _, s := range table {
		if s.name != name || s.with != with {
			continue
		}
		n := s.size
		if len(os.Args) > 2 {
			var err error
			if n, err = strconv.Atoi(os.Args[2]); err != nil {
				usage()
			}
		}
		n = max(n, 10)
		memoryAtStart = memoryBytes()
		s.body(n / 10)
		s.report(s.body(n))
		return
	}
	fmt.Fprintln(os.Stderr, "bench-go: no scenario", os.Args[1])
	os.Exit(2)
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: bench-go --list | <scenario>[@<with>] [size]")
	os.Exit(2)
}

func (s scenario) report(m sample) {
	ops := float64(m.ops)
	fmt.Printf(`{"scenario":"%s","peer":"go","with":"%s","procs":%d,"ops":%d,"ns":%.2f,"cpu_ns":%.2f`,
		s.name, s.with, runtime.GOMAXPROCS(0), m.ops, m.wallNs/ops, m.cpuNs/ops)
	for _, f := range m.more {
		if math.IsInf(f.value, 0) {
			fmt.Printf(`,"%s":null`, f.key) // JSON has no infinity; the driver reads it as never
			continue
		}
		fmt.Printf(`,"%s":%.3f`, f.key, f.value)
	}
	fmt.Println("}")
}

// A meter measures wall time and the CPU time of the whole process.
type meter struct {
	wall  time.Time
	cpuNs float64
}

type figure struct {
	key   string
	value float64
}

type sample struct {
	ops           int
	wallNs, cpuNs float64
	more          []figure
}

func start() meter { return meter{cpuNs: processCPU(), wall: time.Now()} }

func (m meter) ns() float64 { return float64(time.Since(m.wall).Nanoseconds()) }

func (m meter) stop(ops int) sample {
	wall := m.ns()
	return sample{ops: ops, wallNs: wall, cpuNs: processCPU() - m.cpuNs}
}

func (s sample) and(key string, value float64) sample {
	s.more = append(s.more, figure{key, value})
	return s
}

func processCPU() float64 {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil, "getrusage")
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

var memoryAtStart float64

// residentBytes is what the process has gained since it started: resident
// pages and page tables.
func residentBytes() float64 { return memoryBytes() - memoryAtStart }

func memoryBytes() float64 {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, "/proc/self/status")
	total := 0.0
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmPTE:") {
			kib, err := strconv.ParseFloat(strings.Fields(line)[1], 64)
			check(err == nil, line)
			total += kib * 1024
		}
	}
	return total
}

func check(ok bool, what string) {
	if !ok {
		panic(what)
	}
}

// sumBelow is 0 + 1 + .. + (n - 1).
func sumBelow(n int) int { return n * (n - 1) / 2 }

// share is how many of n operations the i-th of k workers does.
func share(n, k, i int) int {
	if i < n%k {
		return n/k + 1
	}
	return n / k
}

// mixed is the i-th of a sequence of numbers that look random (splitmix64).
func mixed(i uint64) uint64 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
