// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// The fixtures report calls of getpgid with a pid that no process has: the upper half of it is the
// magic number of one run, the lower half says what to do. So each run sees its own calls only, and
// as many as the test made.

var runs atomic.Uint32

// newMagic returns a number that no other run uses, in this process or another.
func newMagic() uint32 {
	n := uint32(os.Getpid())*64 + runs.Add(1)
	return (0x4000 | n&0x3fff) << 16
}

// running is a gadget in the kernel.
type running struct {
	*Gadget
	magic uint32
}

// load puts the image into the kernel until the test ends.
func load(t testing.TB, img *image.Image, o LoadOptions) *running {
	t.Helper()
	kerneltest.RequireRoot(t)
	r := &running{magic: newMagic()}
	if o.Params == nil {
		o.Params = make(map[string]image.Value)
	}
	setParam(t, img, o.Params, "magic", uint64(r.magic))
	setParam(t, img, o.Params, "getpgid_nr", unix.SYS_GETPGID)
	var err error
	if r.Gadget, err = Load(img, &o); err != nil {
		t.Fatal(explain(err))
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// start is load and Attach.
func start(t testing.TB, img *image.Image, o LoadOptions) *running {
	t.Helper()
	r := load(t, img, o)
	if err := r.Attach(); err != nil {
		t.Fatal(err)
	}
	return r
}

// setParam sets a param if the image has it.
func setParam(t testing.TB, img *image.Image, values map[string]image.Value, name string, n uint64) {
	t.Helper()
	p, ok := img.Param(name)
	if !ok {
		return
	}
	v, err := p.Parse(strconv.FormatUint(n, 10))
	if err != nil {
		t.Fatal(err)
	}
	values[p.Var] = v
}

// explain is the error with all of the verifier's log.
func explain(err error) string {
	var ve *VerifierError
	if errors.As(err, &ve) {
		return fmt.Sprintf("%v\n%q", err, ve.Log)
	}
	return err.Error()
}

// call makes the system call that the gadget reports.
func (r *running) call(value uint16) {
	_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, uintptr(r.magic|uint32(value)), 0, 0)
}

// make has the fixture "records" make n records of a length.
func (r *running) make(n, length int) {
	for ; n > 0; n -= 255 {
		r.call(uint16(min(n, 255)<<8 | length))
	}
}

// source returns the only source.
func (r *running) source(t testing.TB) pipeline.Source {
	t.Helper()
	if n := len(r.Sources()); n != 1 {
		t.Fatalf("%d sources", n)
	}
	return r.Sources()[0]
}

// pin keeps the test on one CPU until it ends: the n-th CPU that it may run on. It returns the
// CPU's number.
func pin(t testing.TB, n int) int {
	t.Helper()
	cpu, unpin := pinThread(t, n)
	t.Cleanup(unpin)
	return cpu
}

// pinThread is pin for the calling goroutine, until it calls unpin.
func pinThread(t testing.TB, n int) (cpu int, unpin func()) {
	t.Helper()
	cpus, err := kerneltest.AllowedCPUs()
	if err != nil || n >= len(cpus) {
		t.Fatalf("no CPU number %d among %v: %v", n, cpus, err)
	}
	free, err := kerneltest.PinThread(cpus[n])
	if err != nil {
		t.Fatal(err)
	}
	return cpus[n], func() {
		if err := free(); err != nil {
			t.Error(err)
		}
	}
}

// got is what sources returned.
type got struct {
	rows [][]byte
	lost map[int]uint64 // by CPU
}

func (g *got) add(t testing.TB, b *event.Batch) {
	t.Helper()
	for _, row := range b.Rows {
		if len(row) < int(b.Schema.Size) {
			t.Fatalf("a row of %d bytes, want %d at least", len(row), b.Schema.Size)
		}
		g.rows = append(g.rows, bytes.Clone(row))
	}
	for _, l := range b.Lost {
		if g.lost == nil {
			g.lost = make(map[int]uint64)
		}
		if l.Count == 0 || l.Cause != event.BufferFull {
			t.Errorf("loss %+v", l)
		}
		g.lost[l.CPU] += l.Count
	}
}

func (g *got) lostSum() (n uint64) {
	for _, count := range g.lost {
		n += count
	}
	return n
}

// ended is a context that is over.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// drain reads all that happened so far.
func drain(t testing.TB, src pipeline.Source) *got {
	t.Helper()
	var g got
	g.drain(t, src)
	return &g
}

func (g *got) drain(t testing.TB, src pipeline.Source) {
	t.Helper()
	var b event.Batch
	for deadline := time.Now().Add(20 * time.Second); ; {
		if time.Now().After(deadline) {
			t.Fatal("the source does not end")
		}
		err := src.Next(ended(), &b)
		if errors.Is(err, io.EOF) {
			if len(b.Rows) > 0 || len(b.Lost) > 0 {
				t.Error("something beside io.EOF")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		g.add(t, &b)
	}
}

// next reads one batch.
func next(t testing.TB, ctx context.Context, src pipeline.Source) *got {
	t.Helper()
	var b event.Batch
	if err := src.Next(ctx, &b); err != nil {
		t.Fatal(err)
	}
	var g got
	g.add(t, &b)
	return &g
}

// record returns the first length bytes of a record of the fixture "records".
func record(seq uint64, length int) []byte {
	full := bytes.Repeat([]byte{0xa5}, 256)
	binary.LittleEndian.PutUint64(full, seq)
	return full[:length]
}

// padded is a record as a row of a struct with size bytes.
func padded(rec []byte, size int) []byte {
	return append(rec, make([]byte, max(0, size-len(rec)))...)
}

// buffers runs a test with each kind of buffer.
func buffers(t *testing.T, f func(t *testing.T, o LoadOptions)) {
	for name, o := range map[string]LoadOptions{"ring": {Shards: 1}, "shards": {Shards: 2}, "perf": {PerfBuffer: true}} {
		t.Run(name, func(t *testing.T) { f(t, o) })
	}
}
