package main

// Channels without select.

import (
	"runtime"
	"sync"
	"sync/atomic"
)

func pingpong(n int) sample {
	m := start()
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v + 1
		}
		close(pong)
	}()
	sum := 0
	for i := range n {
		ping <- i
		sum += <-pong
	}
	close(ping)
	_, open := <-pong
	s := m.stop(n)
	check(!open && sum == sumBelow(n)+n, "round trips")
	return s
}

// stream carries n numbers from the senders to the receivers.
func stream(n, capacity, senders, receivers int) sample {
	m := start()
	c := make(chan int, capacity)
	var sending, receiving sync.WaitGroup
	var sum, count atomic.Int64
	for i := range senders {
		sending.Add(1)
		go func() {
			for j := range share(n, senders, i) {
				c <- j
			}
			sending.Done()
		}()
	}
	for range receivers {
		receiving.Add(1)
		go func() {
			s, k := 0, 0
			for v := range c {
				s += v
				k++
			}
			sum.Add(int64(s))
			count.Add(int64(k))
			receiving.Done()
		}()
	}
	sending.Wait()
	close(c)
	receiving.Wait()
	s := m.stop(n)
	want := 0
	for i := range senders {
		want += sumBelow(share(n, senders, i))
	}
	check(count.Load() == int64(n) && sum.Load() == int64(want), "messages")
	return s
}

type bytes interface {
	[16]byte | [256]byte | [65528]byte
}

// values carries n arrays of bytes through a small buffer.
func values[T bytes](n int) sample {
	m := start()
	c := make(chan T, 16)
	go func() {
		var v T
		for i := range n {
			set(&v, byte(i))
			c <- v
		}
		close(c)
	}()
	sum, count, want := 0, 0, 0
	for v := range c {
		sum += get(&v)
		count++
	}
	s := m.stop(n)
	for i := range n {
		want += 2 * int(byte(i))
	}
	check(count == n && sum == want, "values")
	return s
}

func set[T bytes](v *T, b byte) {
	switch v := any(v).(type) {
	case *[16]byte:
		v[0], v[15] = b, b
	case *[256]byte:
		v[0], v[255] = b, b
	case *[65528]byte:
		v[0], v[65527] = b, b
	}
}

func get[T bytes](v *T) int {
	switch v := any(v).(type) {
	case *[16]byte:
		return int(v[0]) + int(v[15])
	case *[256]byte:
		return int(v[0]) + int(v[255])
	case *[65528]byte:
		return int(v[0]) + int(v[65527])
	}
	return -1
}

// semaphoreChan takes and gives back permits of a buffered channel.
func semaphoreChan(n int) sample {
	m := start()
	sem := make(chan struct{}, permits)
	var wg sync.WaitGroup
	var inside, most, done atomic.Int64
	for i := range permitTasks {
		wg.Add(1)
		go func() {
			for range share(n, permitTasks, i) {
				sem <- struct{}{}
				if now := inside.Add(1); now > most.Load() {
					most.Store(now)
				}
				inside.Add(-1)
				<-sem
			}
			done.Add(int64(share(n, permitTasks, i)))
			wg.Done()
		}()
	}
	wg.Wait()
	s := m.stop(n)
	check(done.Load() == int64(n) && most.Load() <= permits, "permits")
	return s
}

func pingpongPairs(n int) sample {
	m := start()
	var wg sync.WaitGroup
	var sum atomic.Int64
	for i := range pairs {
		ping, pong := make(chan int), make(chan int)
		wg.Add(2)
		go func() {
			for v := range ping {
				pong <- v + 1
			}
			wg.Done()
		}()
		go func() {
			s := 0
			for j := range share(n, pairs, i) {
				ping <- j
				s += <-pong
			}
			close(ping)
			sum.Add(int64(s))
			wg.Done()
		}()
	}
	wg.Wait()
	s := m.stop(n)
	want := n
	for i := range pairs {
		want += sumBelow(share(n, pairs, i))
	}
	check(sum.Load() == int64(want), "round trips")
	return s
}

// pinnedPingpong is pingpong with one or both sides wired to an OS thread.
func pinnedPingpong(n int, near, far bool) sample {
	m := start()
	ping, pong := make(chan int), make(chan int)
	go func() {
		if far {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
		}
		for v := range ping {
			pong <- v + 1
		}
		close(pong)
	}()
	if near {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	sum := 0
	for i := range n {
		ping <- i
		sum += <-pong
	}
	close(ping)
	_, open := <-pong
	s := m.stop(n)
	check(!open && sum == sumBelow(n)+n, "round trips")
	return s
}

// pinnedHandoff hands numbers over one unbuffered channel, one way; the
// receiver, or either side, is wired to an OS thread.
func pinnedHandoff(n int, near, far bool) sample {
	m := start()
	c := make(chan int)
	go func() {
		if far {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
		}
		for i := range n {
			c <- i
		}
		close(c)
	}()
	if near {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	sum, count := 0, 0
	for v := range c {
		sum += v
		count++
	}
	s := m.stop(n)
	check(count == n && sum == sumBelow(n), "messages")
	return s
}
