// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// stormOnCommand opens files as openOnCommand does, in several threads at the same time, each on a CPU
// of its own and each so often as the command says. It begins with a line "CPU TID" for each of them, and
// the line allThreads.
func stormOnCommand(in io.Reader, out, about io.Writer) error {
	cpus, err := someCPUs()
	if err != nil {
		return err
	}
	var threads []chan openCommand
	var working sync.WaitGroup
	for _, cpu := range cpus {
		commands, tid := make(chan openCommand), make(chan int)
		go openOn(cpu, tid, commands, &working)
		threads = append(threads, commands)
		fmt.Fprintln(about, cpu, <-tid)
	}
	fmt.Fprintln(about, allThreads)
	return serve(in, out, func(n int, path string) {
		working.Add(len(threads))
		for _, commands := range threads {
			commands <- openCommand{n, path}
		}
		working.Wait()
	})
}

const allThreads = "that is all"

type openCommand struct {
	count int
	path  string
}

// A storm pauses now and then, so that it lasts and leaves a processor to its reader.
const (
	stormBurst = 100
	stormRest  = time.Millisecond
)

// openOn is one thread of a storm.
func openOn(cpu int, tid chan<- int, commands <-chan openCommand, working *sync.WaitGroup) {
	if _, err := kerneltest.PinThread(cpu); err != nil {
		panic(err)
	}
	tid <- unix.Gettid()
	for c := range commands {
		for i := range c.count {
			openAndClose(c.path)
			if i%stormBurst == stormBurst-1 {
				time.Sleep(stormRest)
			}
		}
		working.Done()
	}
}

// someCPUs returns two CPUs that this process may run on, or the only one.
func someCPUs() ([]int, error) {
	cpus, err := kerneltest.AllowedCPUs()
	return cpus[:min(2, len(cpus))], err
}

// storm is an opener with several threads.
type storm struct {
	*opener
	cpus map[string]int // by the threads' ids
}

func startStorm(t testing.TB) *storm {
	t.Helper()
	s := &storm{opener: startOnCommand(t, helperStorm), cpus: make(map[string]int)}
	// Its output comes by another way than its answers to commands, maybe later.
	var threads string
	eventually(t, "told its threads", func() (all bool) {
		threads, all = strings.CutSuffix(s.err.String(), allThreads+"\n")
		return all
	})
	for line := range strings.Lines(threads) {
		cpu, tid, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(cpu)
		if err != nil {
			t.Fatalf("a storm said %q", line)
		}
		s.cpus[tid] = n
	}
	return s
}

// holdMemory takes memory on command: for each "MEBIBYTES /" so much.
func holdMemory(in io.Reader, out io.Writer) error {
	var held [][]byte
	defer runtime.KeepAlive(&held)
	return serve(in, out, func(mebibytes int, _ string) {
		memory := make([]byte, mebibytes<<20)
		for i := 0; i < len(memory); i += 4096 {
			memory[i] = 1
		}
		held = append(held, memory)
	})
}
