package main

// Timers.

import (
	"slices"
	"sync"
	"time"
)

const (
	longestSleepUs = 500_000
	settle         = 20 * time.Millisecond
)

func sleepOf(i int) time.Duration {
	return time.Duration(mixed(uint64(i))%longestSleepUs) * time.Microsecond
}

// timersSleep counts the oversleep of the steady part only: sleepers due a
// while after the last of them was spawned.
func timersSleep(n int) sample {
	type wake struct{ due, late time.Duration }
	woke := make([]wake, n)
	m := start()
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			d := sleepOf(i)
			due := time.Now().Add(d)
			time.Sleep(d)
			woke[i] = wake{due.Sub(m.wall), time.Since(due)}
			wg.Done()
		}()
	}
	settled := time.Since(m.wall) + settle
	wg.Wait()
	s := m.stop(n)
	var late []float64
	for _, w := range woke {
		check(w.due > 0, "a sleeper did not wake")
		if w.due >= settled {
			late = append(late, float64(w.late.Nanoseconds())/1000)
		}
	}
	if len(late) == 0 {
		return s
	}
	slices.Sort(late)
	at := func(share float64) float64 { return late[int(float64(len(late)-1)*share)] }
	return s.and("late_p50_us", at(0.5)).and("late_p99_us", at(0.99))
}

// timerReset starts and stops a timer with a channel nobody receives from.
func timerReset(n int) sample {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return resets(n, t)
}

// timerResetFunc does the same with a timer that would run a function.
func timerResetFunc(n int) sample {
	t := time.AfterFunc(time.Hour, func() { panic("fired") })
	t.Stop()
	return resets(n, t)
}

func resets(n int, t *time.Timer) sample {
	stopped := 0
	m := start()
	for range n {
		t.Reset(time.Hour)
		if t.Stop() {
			stopped++
		}
	}
	s := m.stop(n)
	check(stopped == n, "stops")
	return s
}
