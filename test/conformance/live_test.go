// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// live is the gadget in the kernel.
type live struct {
	*gadget.Gadget
	img   *image.Image
	magic uint32
}

// start loads and attaches the gadget until the test ends.
func start(t testing.TB, o gadget.LoadOptions) *live {
	t.Helper()
	kerneltest.RequireRoot(t)
	l := &live{img: buildImage(t), magic: 0x60000000 | uint32(os.Getpid())&0xffffff}
	p, ok := l.img.Param("magic")
	if !ok {
		t.Fatal("there is no param magic")
	}
	v, err := p.Parse(strconv.FormatUint(uint64(l.magic), 10))
	if err != nil {
		t.Fatal(err)
	}
	o.Params = map[string]image.Value{p.Var: v}
	if l.Gadget, err = gadget.Load(l.img, &o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Attach(); err != nil {
		t.Fatal(err)
	}
	return l
}

// The data sources, as the program numbers them.
const (
	toAll  = 0
	toTail = 1
)

// send makes the program write one record. The bytes have just been written, so they are in memory,
// where a program that cannot sleep can read them.
func (l *live) send(rec []byte, which uintptr) {
	_, _, _ = unix.RawSyscall6(unix.SYS_PRCTL, uintptr(l.magic), uintptr(unsafe.Pointer(unsafe.SliceData(rec))),
		uintptr(len(rec)), which, 0, 0)
	runtime.KeepAlive(rec)
}

// take reads all that was sent to a data source.
func (l *live) take(t testing.TB, name string) taken {
	t.Helper()
	i := slices.IndexFunc(l.Sources(), func(s pipeline.Source) bool { return s.Schemas()[0].Name == name })
	if i < 0 {
		t.Fatalf("there is no data source %s", name)
	}
	return drain(t, l.Sources()[i])
}

// drain reads all available records.
func drain(t testing.TB, src pipeline.Source) taken {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	k := taken{schema: src.Schemas()[0]}
	var b event.Batch
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		err := src.Next(ctx, &b)
		if errors.Is(err, io.EOF) {
			return k
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Lost) > 0 {
			t.Fatalf("lost %+v", b.Lost)
		}
		for _, row := range b.Rows {
			k.rows = append(k.rows, bytes.Clone(row))
		}
	}
	t.Fatal("the source does not end")
	return k
}

// Records come out of the kernel as they went in: byte for byte, each once, in order, and with the same
// meaning. A perf buffer makes records longer, so that they end at a multiple of 8 bytes.
func TestKernelHandsOutWhatWasSent(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, perf := range map[string]bool{"ring": false, "perf": true} {
		t.Run(name, func(t *testing.T) {
			pin(t) // a perf buffer keeps the order on each CPU only
			l := start(t, gadget.LoadOptions{PerfBuffer: perf})
			for _, c := range cases() {
				l.send(c.sent(), toAll)
			}
			k := l.take(t, "all")
			wantRows(t, k, perf)
			if *makeRecording && !perf {
				writeRecording(t, l, k)
			}
			l.wantGolden(t, k)
		})
	}
}

// pin keeps the test on one CPU until it ends.
func pin(t testing.TB) {
	t.Helper()
	cpus, err := kerneltest.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	unpin, err := kerneltest.PinThread(cpus[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unpin(); err != nil {
			t.Error(err)
		}
	})
}

// wantRows compares rows with the sent records. It cuts off the padding of a perf buffer. (After
// the end of a record that is shorter than its struct the padding is zeros only while the buffer is new.)
func wantRows(t testing.TB, k taken, padded bool) {
	t.Helper()
	want := cases()
	if len(k.rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(k.rows), len(want))
	}
	for i, row := range k.rows {
		sent := wantRow(&want[i], k.schema)
		if padded && len(row) > len(sent) && len(row) < len(sent)+8 {
			row = row[:len(sent)]
			k.rows[i] = row
		}
		if !bytes.Equal(row, sent) {
			t.Errorf("%s: row %d:\n got %x\nwant %x", want[i].name, i, row, sent)
		}
	}
}

// wantRow is the row of a case.
func wantRow(c *testCase, s *event.Schema) []byte {
	sent := c.sent()
	return append(sent, make([]byte, max(0, int(s.Size)-len(sent)))...)
}

// Trailing data without a length is all that the record has beyond its struct.
func TestKernelHandsOutTrailingData(t *testing.T) {
	l := start(t, gadget.LoadOptions{})
	want := tails()
	for _, rec := range want {
		l.send(rec, toTail)
	}
	k := l.take(t, "tail")
	if !slices.EqualFunc(k.rows, want, bytes.Equal) {
		t.Errorf("got %x\nwant %x", k.rows, want)
	}
	l.wantGolden(t, k)
}

// wantGolden compares the rows from the kernel with the golden files, unless the replay tests are going to
// rewrite those.
func (l *live) wantGolden(t testing.TB, k taken) {
	t.Helper()
	if *update || *makeRecording {
		return
	}
	d, ok := l.img.DataSource(k.schema.Name)
	if !ok {
		t.Fatalf("the image has no data source %s", k.schema.Name)
	}
	k.compose(t, d.Annotations, machine()).wantGolden(t)
}

// tails are records of the data source tail.
func tails() [][]byte {
	var all [][]byte
	for _, rest := range []string{"", "a", "1234567", "\x00\x00", string(bytes.Repeat([]byte{0xa5}, 100))} {
		rec := append([]byte{byte(len(all)), 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, rest...)
		all = append(all, rec)
	}
	return all
}

// The kernel's definition of an enum is preferred over the object's, and only that of the kernel.
func TestKernelKnowsItsEnums(t *testing.T) {
	l := start(t, gadget.LoadOptions{})
	for name, want := range map[string]string{"kernel_raw": "PIDTYPE_TGID", "color_raw": "CONF_RED"} {
		s := l.Sources()[0].Schemas()[0]
		i, ok := s.Lookup(name)
		if !ok || s.Fields[i].Enum == nil {
			t.Fatalf("%s is no enum", name)
		}
		if got := nameOf(s.Fields[i].Enum, 1); got != want {
			t.Errorf("%s: 1 is called %q, want %q", name, got, want)
		}
	}
}

// writeRecording makes the recording that all other tests read.
func writeRecording(t testing.TB, l *live, k taken) {
	t.Helper()
	h := wire.Header{Gadgets: []wire.Gadget{{Reference: "conformance"}}, Machine: wire.Machine{
		Arch: "amd64", Kernel: "6.18.0", CPUs: 2, BootOffset: bootOffset, Users: userNames, Groups: groupNames}}
	for _, src := range l.Sources() {
		d, _ := l.img.DataSource(src.Schemas()[0].Name)
		text, err := json.Marshal(d.Annotations)
		if err != nil {
			t.Fatal(err)
		}
		h.DataSources = append(h.DataSources, wire.DataSource{Schema: src.Schemas()[0], Annotations: text})
	}
	var out bytes.Buffer
	w, err := wire.NewWriter(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	tail := taken{schema: h.DataSources[1].Schema, rows: tails()}
	for _, k := range []taken{k, tail} {
		for rows := range slices.Chunk(k.rows, 7) {
			if err := w.Write(&event.Batch{Schema: k.schema, Rows: rows}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recording, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
