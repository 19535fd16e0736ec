// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
)

// eachRun is how long each run of the embedder lasts, and the pause after it, which leaves the processor to the others.
const eachRun = 60 * time.Millisecond

// runEmbedder is a program that embeds package run: it plans, loads and runs gadgets, again and again, and after each run writes what
// it has in use. opener is the process whose opens it observes.
func runEmbedder(opener string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := inputEnds(in)
	go func() {
		<-stopped
		cancel()
	}()
	shared := host.New()
	var u use
	for ; ctx.Err() == nil; time.Sleep(eachRun) {
		u.Runs++
		got, err := embeddedRun(ctx, opener, shared, u.Runs)
		if ctx.Err() != nil { // the end may interrupt a start, which then is an error
			break
		}
		if err != nil {
			return fmt.Errorf("run %d: %w", u.Runs, err)
		}
		u.Events += got
		if err := u.tell(out); err != nil {
			return err
		}
	}
	return nil
}

// use is what a process has in use between two runs.
type use struct {
	Runs, Events                     int
	Heap                             float64 // without garbage
	Goroutines, Descriptors, Objects float64
}

func (u *use) tell(out io.Writer) error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Heap, u.Goroutines = float64(m.HeapAlloc), float64(runtime.NumGoroutine())
	u.Descriptors, u.Objects = float64(len(open)), float64(len(kerneltest.ObjectsOf(os.Getpid())))
	return json.NewEncoder(out).Encode(u)
}

// embeddedRun is the n-th run. It returns how many events its sink got.
func embeddedRun(ctx context.Context, opener string, shared *host.Host, n int) (got int, err error) {
	o, err := embeddedOptions(opener, shared, n)
	if err != nil {
		return 0, err
	}
	o.Sinks = []pipeline.NamedSink{{Name: "structs", Sink: structs.Each(func(e *struct {
		PID int `event:"proc.pid"`
	}) error {
		got++
		if strconv.Itoa(e.PID) != opener {
			return fmt.Errorf("an event of process %d", e.PID)
		}
		return nil
	})}}
	if o.Record != nil {
		defer func() {
			if removed := os.Remove(o.Record.Path); err == nil {
				err = removed
			}
		}()
	}
	plan, err := run.NewPlan(o)
	if err != nil {
		return 0, err
	}
	r, err := plan.Load(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, eachRun)
	defer cancel()
	if err := r.Run(ctx); err != nil {
		return got, err
	}
	delivered := uint64(0)
	for _, a := range r.Ledger().Accounts() {
		if a.Sink() == "structs" {
			delivered += a.Totals().Delivered
		}
	}
	if delivered != uint64(got) {
		return got, fmt.Errorf("the ledger says that %d events were delivered, and %d came", delivered, got)
	}
	return got, nil
}

// embeddedOptions gives runs one gadget or two, with or without text, sorting and a recording.
func embeddedOptions(opener string, shared *host.Host, n int) (run.Options, error) {
	o := run.Options{Host: shared}
	names := []string{"trace_open", "trace_signal"}
	if n%3 != 0 {
		names = names[:1]
	}
	for _, name := range names {
		img, err := catalog.Builtin(name)
		if err != nil {
			return o, err
		}
		o.Gadgets = append(o.Gadgets, run.Gadget{Name: name, Image: img, Params: map[string]string{"pid": opener}})
	}
	if n%2 == 0 {
		o.Text = &run.Text{W: io.Discard, Modes: "json"}
		o.Events.Sort = "timestamp_raw"
		o.Events.SortWindow = eachRun / 2
	}
	if n%4 == 0 {
		o.Record = &run.Recording{Path: filepath.Join(os.TempDir(), "embedder.rec")}
	}
	return o, nil
}
