package main

// Sockets.

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	connections = 100 // of tcp_echo
	messageSize = 64
	echoBuffer  = 1024
	hello       = "Hello, world!"
)

func message(i int) (m [messageSize]byte) {
	for j := range m {
		m[j] = byte(i)
		if j < 8 {
			m[j] = byte(uint64(i) >> (8 * j))
		}
	}
	return m
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err == nil, "listen")
	return l
}

// echo serves one connection and returns how many bytes it has sent back.
func echo(c net.Conn) (bytes int) {
	buf := make([]byte, echoBuffer)
	for {
		n, err := c.Read(buf)
		if err == io.EOF {
			c.Close()
			return bytes
		}
		check(err == nil, "read")
		_, err = c.Write(buf[:n])
		check(err == nil, "write")
		bytes += n
	}
}

func roundTrips(c net.Conn, n int) {
	got := make([]byte, messageSize)
	for i := range n {
		sent := message(i)
		_, err := c.Write(sent[:])
		check(err == nil, "write")
		_, err = io.ReadFull(c, got)
		check(err == nil && [messageSize]byte(got) == sent, "the echo")
	}
}

func tcpEcho(n int) sample {
	l := listen()
	defer l.Close()
	var servers, clients sync.WaitGroup
	var echoed atomic.Int64
	m := start()
	servers.Add(connections)
	go func() {
		for range connections {
			c, err := l.Accept()
			check(err == nil, "accept")
			go func() {
				echoed.Add(int64(echo(c)))
				servers.Done()
			}()
		}
	}()
	for i := range connections {
		clients.Add(1)
		go func() {
			c, err := net.Dial("tcp", l.Addr().String())
			check(err == nil, "dial")
			roundTrips(c, share(n, connections, i))
			c.Close()
			clients.Done()
		}()
	}
	clients.Wait()
	servers.Wait()
	s := m.stop(n)
	check(echoed.Load() == int64(n*messageSize), "bytes")
	return s
}

// idleConns has raw blocking sockets for clients: they cost the runtime
// nothing, so that the server's side of a connection is all that is counted.
func idleConns(n int) sample {
	l := listen()
	defer l.Close()
	var served sync.WaitGroup
	var echoed atomic.Int64
	served.Add(n)
	m := start()
	go func() {
		for range n {
			c, err := l.Accept()
			check(err == nil, "accept")
			go func() {
				echoed.Add(int64(echo(c)))
				served.Done()
			}()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	fds := make([]int, n)
	for i := range fds {
		fds[i] = idleClient(port, i)
	}
	s := m.stop(n)
	time.Sleep(100 * time.Millisecond)
	bytes := residentBytes() / float64(n)
	for _, fd := range fds {
		syscall.Close(fd)
	}
	served.Wait()
	check(echoed.Load() == int64(n*messageSize), "bytes")
	return s.and("bytes", bytes)
}

func idleClient(port, i int) int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check(err == nil, "socket")
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	check(err == nil, "connect")
	sent, got := message(i), [messageSize]byte{}
	_, err = syscall.Write(fd, sent[:])
	check(err == nil, "write")
	for filled := 0; filled < messageSize; {
		k, err := syscall.Read(fd, got[filled:])
		check(err == nil && k > 0, "read")
		filled += k
	}
	check(got == sent, "the echo")
	return fd
}

// httpHello has wrk as a child, whose CPU time is not this process's; it is
// started for longer than needed and told to stop.
func httpHello(milliseconds, connections int) sample {
	l := listen()
	var served atomic.Int64
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		io.WriteString(w, hello)
	})}
	go server.Serve(l)
	m := start()
	report := wrk(l.Addr().String(), connections, milliseconds, &served)
	requests, err := strconv.Atoi(found(`(\d+) requests in `, report))
	check(err == nil, report)
	s := m.stop(requests)
	server.Close()
	count := int(served.Load())
	check(found(`(errors|Non-2xx)`, report) == "", report)
	check(requests > 0 && requests <= count && count <= requests+connections, report)
	rate, err := strconv.ParseFloat(found(`Requests/sec:\s*([0-9.]+)`, report), 64)
	check(err == nil, report)
	return s.and("rps", rate)
}

// wrk's time runs from the server's first answer.
func wrk(address string, connections, milliseconds int, served *atomic.Int64) string {
	longer := "-d" + strconv.Itoa(milliseconds/1000+60) + "s"
	command := exec.Command("wrk", "-t1", longer, "-c"+strconv.Itoa(connections), "http://"+address+"/")
	var report strings.Builder
	command.Stdout, command.Stderr = &report, os.Stderr
	check(command.Start() == nil, "wrk")
	for started := time.Now(); served.Load() == 0; time.Sleep(time.Millisecond) {
		check(time.Since(started) < 10*time.Second, "no request came")
	}
	time.Sleep(time.Duration(max(milliseconds, 300)) * time.Millisecond)
	check(command.Process.Signal(os.Interrupt) == nil && command.Wait() == nil, "wrk")
	return report.String()
}

func found(pattern, text string) string {
	groups := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if groups == nil {
		return ""
	}
	return groups[1]
}
