package main

// Tasks that compute without end, and calls that block the OS thread.

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	tick             = time.Millisecond
	hogsPerProcessor = 2
	blockers         = 64
	callNs           = 2_000_000
)

// ticks are how late a task woke that sleeps a millisecond at a time, in µs.
type ticks []float64

func (t *ticks) sleep() {
	asked := time.Now()
	time.Sleep(tick)
	*t = append(*t, max(0, float64((time.Since(asked)-tick).Nanoseconds())/1000))
}

func (t ticks) addTo(s sample) sample {
	if len(t) == 0 {
		return s
	}
	slices.Sort(t)
	at := func(share float64) float64 { return t[int(float64(len(t)-1)*share)] }
	return s.and("late_p50_us", at(0.5)).and("late_p99_us", at(0.99)).and("late_max_us", at(1))
}

// A hog has a cache line of its own, and its neighbour.
type hog struct {
	count uint64
	_     [120]byte
}

// preemptLatency stops after n ticks, or when they have had two and a half
// milliseconds each. It says "never" if one tick took half of that time.
func preemptLatency(n int) sample {
	hogs := make([]hog, hogsPerProcessor*runtime.GOMAXPROCS(0))
	limit := max(time.Duration(n)*2500*time.Microsecond, 300*time.Millisecond)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range hogs {
		wg.Add(1)
		go func() {
			h := &hogs[i]
			for !stop.Load() {
				h.count++
			}
			wg.Done()
		}()
	}
	var late ticks
	m := start()
	for len(late) < n && time.Since(m.wall) < limit {
		late.sleep()
	}
	s := m.stop(len(late))
	stop.Store(true)
	wg.Wait()
	most, least := 0.0, math.MaxFloat64
	for i := range hogs {
		most, least = max(most, float64(hogs[i].count)), min(least, float64(hogs[i].count))
	}
	check(most > 0, "no hog ran")
	if slices.Max(late) > float64(limit.Microseconds())/2 {
		s = s.and("late_p50_us", math.Inf(1)).and("late_p99_us", math.Inf(1)).and("late_max_us", math.Inf(1))
	} else {
		s = late.addTo(s)
	}
	return s.and("hog_spread", most/least)
}

// blockingCalls: many tasks make calls that block their thread, beside a
// ticker. Go knows of every system call, so there is no second kind.
func blockingCalls(n int) sample {
	var over atomic.Bool
	var done atomic.Int64
	var wg sync.WaitGroup
	ticked := make(chan ticks)
	m := start()
	go func() {
		var late ticks
		for !over.Load() {
			late.sleep()
		}
		ticked <- late
	}()
	for i := range blockers {
		wg.Add(1)
		go func() {
			calls := share(n, blockers, i)
			for range calls {
				call()
			}
			done.Add(int64(calls))
			wg.Done()
		}()
	}
	wg.Wait()
	s := m.stop(n)
	s = s.and("total_ms", s.wallNs/1e6).and("total_cpu_ms", s.cpuNs/1e6)
	over.Store(true)
	check(done.Load() == int64(n), "calls")
	return (<-ticked).addTo(s)
}

// call sleeps in the kernel; a signal makes it go on with what is left.
func call() {
	left := syscall.Timespec{Nsec: callNs}
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}
