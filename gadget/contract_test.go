// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// owned is a source that takes its gadget with it when it is closed.
type owned struct {
	pipeline.Source
	g *Gadget
}

func (o owned) Close() error { return o.g.Close() }

// The sources of events keep the contract of all sources.
func TestSourceContract(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, o := range map[string]LoadOptions{
		"ring": {}, "shards": {Shards: 2}, "each event at once": {Latency: AtOnce}, "perf buffers": {PerfBuffer: true},
	} {
		t.Run(name, func(t *testing.T) {
			testContract(t, pipelinetest.SourceCase{Live: true}, parse(t, "times"), o)
		})
	}
}

// once makes the source deliver one array, as soon as it is read or the run ends.
var once = image.Fetch{Interval: time.Millisecond, Count: 1, Flush: true}

// The sources of arrays keep it, too.
func TestMapIteratorContract(t *testing.T) {
	testContract(t, pipelinetest.SourceCase{}, parse(t, "mapiter"), fetch(once))
}

// testContract tests the only source of a gadget, which has reported more calls than there are rows in a batch of single
// events.
func testContract(t *testing.T, c pipelinetest.SourceCase, img *image.Image, o LoadOptions) {
	c.Rows = 700
	c.New = func(t testing.TB) pipeline.Source {
		g := start(t, img, o)
		for i := range c.Rows {
			g.call(uint16(i))
		}
		if err := g.Detach(); err != nil {
			t.Fatalf("detaching: %v", err)
		}
		return owned{g.source(t), g.Gadget}
	}
	pipelinetest.Source(t, c)
}

// Iterators show a process that does nothing: its one thread and its open files.
func TestIteratorContract(t *testing.T) {
	kerneltest.RequireRoot(t)
	idle := exec.Command("sh", "-c", "echo; read end") // after its output it opens no more files
	in, err := idle.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := idle.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = idle.Wait()
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", idle.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	img := parse(t, "iterators")
	pipelinetest.Source(t, pipelinetest.SourceCase{Rows: 1 + len(files), New: func(t testing.TB) pipeline.Source {
		o := LoadOptions{Params: make(map[string]image.Value), Fetch: map[string]image.Fetch{"several": once}}
		setParam(t, img, o.Params, "only_pid", uint64(idle.Process.Pid))
		g := start(t, img, o)
		return owned{g.sourceOf(t, "several"), g.Gadget}
	}})
}
