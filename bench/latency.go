// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// latencyReader reads a tool's output as it comes, and finds in each line the time at which the
// event was caused: it is the name of the file.
type latencyReader struct {
	prefix []byte
	read   *os.File
	write  *os.File
	copy   *os.File // gets everything, for the wait for the first event
	done   chan struct{}
	took   []int64 // ns
}

func newLatencyReader(dir string, copy *os.File) (*latencyReader, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &latencyReader{prefix: []byte(dir + "/"), read: r, write: w, copy: copy, done: make(chan struct{})}, nil
}

// start begins to read. The tool has the pipe's other end by now.
func (l *latencyReader) start() {
	l.write.Close()
	go func() {
		defer close(l.done)
		defer l.read.Close()
		buf, rest := make([]byte, 1<<20), 0
		for {
			n, err := l.read.Read(buf[rest:])
			now := monotonic()
			if len(l.took) == 0 {
				_, _ = l.copy.Write(buf[rest : rest+n])
			}
			whole := l.lines(buf[:rest+n], now)
			rest = copy(buf, buf[whole:rest+n])
			if err != nil || rest == len(buf) {
				return
			}
		}
	}()
}

// lines takes the times out of all whole lines and returns how many bytes those have.
func (l *latencyReader) lines(text []byte, now int64) int {
	whole := 0
	for {
		end := bytes.IndexByte(text[whole:], '\n')
		if end < 0 {
			return whole
		}
		line := text[whole : whole+end]
		whole += end + 1
		_, name, found := bytes.Cut(line, l.prefix)
		if !found {
			continue
		}
		digits := 0
		for digits < len(name) && isHex(name[digits]) {
			digits++
		}
		if caused, err := strconv.ParseInt(string(name[:digits]), 16, 64); err == nil && digits > 4 {
			l.took = append(l.took, now-caused)
		}
	}
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

func (l *latencyReader) wait() { <-l.done }

// result returns how many events came, and how long they took in ms.
func (l *latencyReader) result() (n int, p50, p99 float64) {
	n = len(l.took)
	if n == 0 {
		return 0, math.NaN(), math.NaN()
	}
	slices.Sort(l.took)
	return n, float64(l.took[n/2]) / 1e6, float64(l.took[n*99/100]) / 1e6
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// lines reads a file line by line.
type lines struct {
	r    *bufio.Reader
	line []byte
	err  error
	end  bool
}

func newLines(f io.Reader) *lines { return &lines{r: bufio.NewReaderSize(f, 1<<20)} }

func (l *lines) next() bool {
	if l.end {
		return false
	}
	var err error
	if l.line, err = l.r.ReadSlice('\n'); err != nil {
		l.end = true
		if !errors.Is(err, io.EOF) {
			l.err = err
		}
	}
	return len(l.line) > 0
}
