// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/build/buildtest"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// types keeps the kernel's types from one load to the next: reading them takes half a second.
var types = btf.NewCache()

// openOwners opens owners until the test ends.
func openOwners(t testing.TB, o *Options) *Owners {
	t.Helper()
	kerneltest.RequireRoot(t)
	if o == nil {
		o = &Options{}
	}
	o.Logger, o.Types = logger(t), types
	owners, err := Open(o)
	if err != nil {
		t.Fatal(explain(err))
	}
	t.Cleanup(func() {
		if err := owners.Close(); err != nil {
			t.Error(err)
		}
	})
	return owners
}

// startOwners opens and starts owners.
func startOwners(t testing.TB, o *Options) *Owners {
	t.Helper()
	owners := openOwners(t, o)
	if err := owners.Start(); err != nil {
		t.Fatal(err)
	}
	return owners
}

// logger returns a logger that writes warnings to the test's log.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// explain is the error with all of the verifier's log.
func explain(err error) string {
	if ve := (*gadget.VerifierError)(nil); errors.As(err, &ve) {
		return fmt.Sprintf("%v\n%q", err, ve.Log)
	}
	return err.Error()
}

// parseGadget returns the gadget in testdata/NAME.
func parseGadget(t testing.TB, name string) *image.Image {
	t.Helper()
	img, err := image.Parse(bytes.NewReader(buildtest.Compile(t, "testdata/"+name).Object), nil)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// yes is the value of a param.
var yes = image.Value{1}

// watcher collects the packets that gadgets report.
type watcher struct {
	gadgets []*gadget.Gadget

	mu   sync.Mutex
	seen map[uint32][]packet // by network namespace
	lost uint64
	err  error
}

// watch loads gadgets of testdata, attaches them and collects what they report, until the test ends. Programs for packets see those of
// namespaces that a test adds.
func watch(t testing.TB, owners gadget.SocketLinker, params map[string]image.Value, names ...string) *watcher {
	t.Helper()
	w := &watcher{seen: make(map[uint32][]packet)}
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		readers.Wait()
		for _, g := range w.gadgets {
			w.err = errors.Join(w.err, g.Close())
		}
		if w.err != nil || w.lost > 0 {
			t.Error("packets lost:", w.lost, w.err)
		}
	})
	for _, name := range names {
		g, err := gadget.Load(parseGadget(t, name), &gadget.LoadOptions{
			Params: params, Sockets: owners, Types: types, Places: gadget.InContainersOnly, Shards: 1, Latency: time.Millisecond, Logger: logger(t),
		})
		if err != nil {
			t.Fatal(explain(err))
		}
		w.gadgets = append(w.gadgets, g)
		if err := g.Attach(); err != nil {
			t.Fatal(err)
		}
		readers.Go(func() { w.read(ctx, g.Sources()[0]) })
	}
	return w
}

func (w *watcher) read(ctx context.Context, source pipeline.Source) {
	var batch event.Batch
	for {
		err := source.Next(ctx, &batch)
		w.mu.Lock()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				w.err = errors.Join(w.err, err)
			}
			w.mu.Unlock()
			return
		}
		for _, row := range batch.Rows {
			p := decode(row)
			w.seen[p.netns] = append(w.seen[p.netns], p)
		}
		for _, l := range batch.Lost {
			w.lost += l.Count
		}
		w.mu.Unlock()
	}
}

// add makes the gadgets report the packets in the network namespace of a process, until the test ends. It returns the namespace, of which
// nothing has been seen: the kernel uses the numbers of namespaces again.
func (w *watcher) add(t testing.TB, pid int) uint32 {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/ns/net", pid)
	var ns uint32
	link, err := os.Readlink(path)
	if _, e := fmt.Sscanf(link, "net:[%d]", &ns); err != nil || e != nil {
		t.Fatal(link, err, e)
	}
	w.mu.Lock()
	delete(w.seen, ns)
	w.mu.Unlock()
	for _, g := range w.gadgets {
		watched, ok := g.Map("watched")
		if !ok {
			t.Fatal("the gadget has no map of namespaces")
		}
		if err := watched.Put(ns, ns); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = watched.Delete(ns) })
		if !g.HasPackets() {
			continue
		}
		closer, err := g.AttachInNetwork(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := closer.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return ns
}

// in returns the packets that were seen in a network namespace.
func (w *watcher) in(ns uint32) []packet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen[ns])
}

func compileTap(t testing.TB) []byte {
	t.Helper()
	return buildtest.Compile(t, "testdata/tap").Object
}
