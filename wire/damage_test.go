// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// Wherever a recording is cut, everything before the cut is read, and then the cut is reported.
func TestEveryTruncation(t *testing.T) {
	t.Parallel()
	recording := writeExample(t)
	whole := describeWritten(exampleBatches(exampleHeader()))
	seen := map[int]bool{}
	for n := range recording {
		got, _, err := read(recording[:n])
		if !errors.Is(err, wire.ErrTruncated) || errors.Is(err, wire.ErrCorrupt) || errors.Is(err, io.EOF) {
			t.Fatalf("cut after %d bytes: %v, want ErrTruncated", n, err)
		}
		if want := fmt.Sprintf("at byte %d, in ", n); !strings.Contains(err.Error(), want) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		if !strings.HasPrefix(whole, describe(got)) {
			t.Fatalf("cut after %d bytes: read\n%s", n, describe(got))
		}
		seen[len(got)] = true
	}
	for n := range exampleBatches(exampleHeader()) {
		if !seen[n+1] {
			t.Errorf("no cut gave %d batches", n+1)
		}
	}
}

// A recording with one changed byte never gives wrong batches.
func TestEveryChangedByte(t *testing.T) {
	t.Parallel()
	recording := writeExample(t)
	whole := describeWritten(exampleBatches(exampleHeader()))
	for i := range recording {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0x7f, 0xff, recording[i]} {
			if flip == 0 {
				continue
			}
			bad := bytes.Clone(recording)
			bad[i] ^= flip
			got, _, err := read(bad)
			if err == nil || !knownDamage(err) {
				t.Fatalf("byte %d ^ %#x: error %v", i, flip, err)
			}
			if !strings.HasPrefix(whole, describe(got)) {
				t.Fatalf("byte %d ^ %#x: read\n%s", i, flip, describe(got))
			}
		}
	}
}

func knownDamage(err error) bool {
	for _, known := range []error{wire.ErrNotRecording, wire.ErrNewer, wire.ErrTruncated, wire.ErrCorrupt} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// A frame that is missing, doubled or out of place is noticed, though its own bytes are whole.
func TestMovedFrames(t *testing.T) {
	t.Parallel()
	recording := writeExample(t)
	cuts := frameCuts(recording)
	piece := func(i int) []byte { return recording[cuts[i]:cuts[i+1]] }
	for i := 0; i+2 < len(cuts); i++ { // all but the end frame
		missing := slices.Concat(recording[:cuts[i]], recording[cuts[i+1]:])
		doubled := slices.Concat(recording[:cuts[i+1]], recording[cuts[i]:])
		swapped := slices.Concat(recording[:cuts[i]], piece(i+1), piece(i), recording[cuts[i+2]:])
		for name, bad := range map[string][]byte{"missing": missing, "doubled": doubled, "swapped": swapped} {
			if _, _, err := read(bad); !errors.Is(err, wire.ErrCorrupt) {
				t.Errorf("frame %d %s: %v, want ErrCorrupt", i, name, err)
			}
		}
	}
}

// frameCuts returns where the frames of a recording begin, and its length.
func frameCuts(recording []byte) []int {
	cuts := []int{len(preamble)}
	frames, _ := split(recording)
	for _, f := range frames {
		head := 1 + len(binary.AppendUvarint(nil, uint64(len(f.payload))))
		cuts = append(cuts, cuts[len(cuts)-1]+head+len(f.payload)+4)
	}
	return cuts
}

func TestNotARecording(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"x", "{\"a\":1}\n", "\x7fELF\x02\x01\x01", "\x89GIZMO\n\x01", "\x89PNG\r\n\x1a\n"} {
		if _, _, err := read([]byte(text)); !errors.Is(err, wire.ErrNotRecording) {
			t.Errorf("%q: %v, want ErrNotRecording", text, err)
		}
	}
}

func TestNewerRecordings(t *testing.T) {
	t.Parallel()
	recording := writeExample(t)
	frames, _ := split(recording)
	newer := bytes.Clone(recording)
	newer[len(preamble)-1] = 3
	_, _, err := read(newer)
	if !errors.Is(err, wire.ErrNewer) {
		t.Errorf("version 3: %v", err)
	}
	wantError(t, err, "format version 3, and this gizmo reads up to 2")

	got, _, err := read(join(slices.Insert(slices.Clone(frames), 2, rawFrame{kind: 'X', payload: []byte("?")})))
	if !errors.Is(err, wire.ErrNewer) || len(got) != 1 {
		t.Errorf("unknown frame: %d batches, %v; want 1 and ErrNewer", len(got), err)
	}
	_, _, err = read(join(slices.Insert(slices.Clone(frames), 0, rawFrame{kind: 'X'})))
	if !errors.Is(err, wire.ErrNewer) {
		t.Errorf("unknown frame at the start: %v", err)
	}
}

// Frames that say that they may be skipped are, wherever they are after the header.
func TestSkippedFrames(t *testing.T) {
	t.Parallel()
	frames, _ := split(writeExample(t))
	for i := 1; i < len(frames); i++ {
		more := join(slices.Insert(slices.Clone(frames), i, rawFrame{kind: 'x', payload: full(200)}, rawFrame{kind: 0xff}))
		got, _, err := read(more)
		if err != nil || describe(got) != describeWritten(exampleBatches(exampleHeader())) {
			t.Errorf("at %d: %v, read\n%s", i, err, describe(got))
		}
	}
}

// Unknown keys of the header are ignored.
func TestUnknownHeaderKeys(t *testing.T) {
	t.Parallel()
	for preamble, h := range map[string]string{
		preamble1: `{"users":{"0":"root"},"machine":{"cpus":2,"moon":1},"gadgets":1,"dataSources":[{"colour":[],"schema":{"name":"a","single":true,"size":1,"more":{},"fields":[{"name":"b","kind":1,"off":0,"size":1,"parent":-1,"z":0}]}}]}`,
		preamble:  `{"users":{"0":"root"},"machine":{"cpus":2,"moon":1},"gadget":1,"schemas":[{"single":true,"size":1,"more":{},"fields":[{"name":"b","kind":1,"off":0,"size":1,"parent":-1,"z":0}]}],"dataSources":[{"name":"a","colour":[],"schema":0}]}`,
	} {
		r := wiretest.Reader(t, joinAfter(preamble, []rawFrame{{'H', []byte(h)}}))
		if r.Header().Machine.CPUs != 2 || r.Schemas()[0].Name != "a" || r.Schemas()[0].Fields[0].Name != "b" {
			t.Errorf("header %+v", r.Header())
		}
	}
}

// Frames with good checksums and bad contents, as a hostile or broken writer may make them.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	header := rawFrame{'H', []byte(`{"schemas":[{"single":true,"size":16777216},{"size":1}],"dataSources":[{"name":"a","schema":0},{"name":"b","schema":1}]}`)}
	num := func(v ...uint64) (p []byte) {
		for _, v := range v {
			p = binary.AppendUvarint(p, v)
		}
		return p
	}
	for _, c := range []struct {
		name string
		bad  rawFrame
		want string
	}{
		{"no contents", rawFrame{'B', nil}, "it is of data source 0, and there are 2"},
		{"data source", rawFrame{'B', num(2, 0, 0)}, "it is of data source 2, and there are 2"},
		{"number of losses", rawFrame{'B', num(0, 1<<40)}, "1099511627776 losses"},
		{"losses missing", rawFrame{'B', num(0, 3, 1, 1)}, "shorter than"},
		{"CPU", rawFrame{'B', num(0, 1, 1<<20, 0, 1, 0)}, "a loss on CPU 1048575"},
		{"rows", rawFrame{'B', num(0, 0, 1<<62)}, "4611686018427387904 rows"},
		{"more rows than bytes", rawFrame{'B', num(0, 0, 5, 0, 0)}, "5 rows"},
		{"rows missing", rawFrame{'B', num(1, 0, 2, 1, 1, 7)}, "its rows take 2 bytes, and it has 1"},
		{"bytes left", rawFrame{'B', num(1, 0, 1, 1, 7, 7)}, "its rows take 1 bytes, and it has 2"},
		{"half a length", rawFrame{'B', append(num(1, 0, 1), 0x80)}, "its rows take 0 bytes"},
		{"row length", rawFrame{'B', num(1, 0, 1, 1<<24+1)}, "a row of 16777217 bytes"},
		{"row length overflows", rawFrame{'B', num(1, 0, 2, 1<<63, 1<<63)}, "a row of 9223372036854775808 bytes"},
		{"padding", rawFrame{'B', num(0, 0, 4, 0, 0, 0, 0)}, "more than 50331648 bytes"},
		{"clock", rawFrame{'C', num(1)}, "1 bytes instead of 8"},
		{"step", rawFrame{'c', num(1)}, "1 bytes instead of 16"},
		{"step before the boot", stepFrame(0, 1), "its time, 0 ns since boot, is not after"},
		{"header again", header, "it cannot be here"},
		{"end: data sources", rawFrame{'E', num(1, 0, 0)}, "totals of 1 data sources instead of 2"},
		{"end: rows", rawFrame{'E', num(2, 0, 0, 1, 0)}, `"b" should have 1 rows and 0 losses, but 0 and 0 were read`},
		{"end: losses", rawFrame{'E', num(2, 0, 9, 0, 0)}, `"a" should have 0 rows and 9 losses, but 0 and 0 were read`},
		{"end: short", rawFrame{'E', num(2, 0, 0, 0)}, "shorter than"},
		{"end: long", rawFrame{'E', num(2, 0, 0, 0, 0, 0)}, "1 bytes too many"},
	} {
		good := rawFrame{'C', make([]byte, 8)}
		got, _, err := read(join([]rawFrame{header, good, c.bad, good}))
		if !errors.Is(err, wire.ErrCorrupt) || len(got) > 0 {
			t.Errorf("%s: %d batches, error %v", c.name, len(got), err)
		}
		wantError(t, err, c.want)
	}
}

func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, want string }{
		{``, "unexpected end of JSON"},
		{`{}{}`, "invalid character"},
		{`[]`, "cannot unmarshal array"},
		{`{"start":"yesterday"}`, "parsing time"},
		{`{"machine":{"cpus":-1}}`, "a machine of -1 CPUs"},
		{`{"machine":{"bootOffset":1e30}}`, "cannot unmarshal number"},
		{`{"dataSources":[null]}`, "data source 0 has no schema"},
		{`{"dataSources":[{"name":"a","schema":0}]}`, "data source 0 has schema 0, and there are 0"},
		{`{"schemas":[{}],"dataSources":[{"name":"a","schema":-1}]}`, "cannot unmarshal number"},
		{`{"schemas":[{}],"dataSources":[{"schema":0}]}`, "it has no name"},
		{`{"schemas":[{}],"dataSources":[{"name":"a","schema":0},{"name":"a","schema":0}]}`, `"a" appears twice`},
		{`{"schemas":[{}],"dataSources":[{"name":"a\u001b[2J","schema":0}]}`, "unprintable"},
		{`{"schemas":[{}],"dataSources":[{"gadget":"g","name":"a","schema":0}]}`, `"g/a": its gadget is not in the list`},
		{`{"gadgets":[{"name":"a"},{"name":"a"}]}`, `gadget "a" appears twice`},
		{`{"gadgets":[{"name":"\u202e"}]}`, "unprintable"},
		{`{"gadgets":[` + strings.Repeat("{},", 1024) + `{}]}`, "1025 gadgets"},
		{`{"schemas":[{"size":4294967295}],"dataSources":[{"name":"a","schema":0}]}`, "rows of 4294967295 bytes"},
		{`{"schemas":[{"fields":[{"name":"b","kind":300}]}]}`, "field 0"},
		{`{"schemas":[{"fields":[` + strings.Repeat("{},", 4096) + `{}]}]}`, "4097 fields"},
		{`{"schemas":[{"added":[` + strings.Repeat("{},", 4096) + `{}]}]}`, "4097 fields"},
		{`{"schemas":[` + strings.Repeat("{},", 1024) + `{}]}`, "1025 schemas"},
		{`{"dataSources":[` + strings.Repeat("{},", 1024) + `{}]}`, "1025 data sources"},
		{`{"schemas":[{"fields":[` + strings.Repeat("{},", 999) + `{}]}],"dataSources":[` + strings.Repeat(`{"name":"a","schema":0},`, 131) + `{"name":"b","schema":0}]}`, "132000 fields in all data sources"},
	} {
		wantCorruptHeader(t, preamble, c.header, c.want)
	}
}

func TestHostileHeadersOfVersion1(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ header, want string }{
		{`{"dataSources":[null]}`, "data source 0 has no schema"},
		{`{"dataSources":[{"schema":{}}]}`, "it has no name"},
		{`{"dataSources":[{"schema":1}]}`, "cannot unmarshal number"},
		{`{"dataSources":[{"schema":{"name":"a"}},{"schema":{"name":"a"}}]}`, `"a" appears twice`},
		{`{"dataSources":[{"schema":{"name":"a\u001b[2J"}}]}`, "unprintable"},
		{`{"dataSources":[{"schema":{"name":"a","size":4294967295}}]}`, "rows of 4294967295 bytes"},
		{`{"dataSources":[{"schema":{"name":"a","fields":[{"name":"b","kind":300}]}}]}`, "field 0"},
		{`{"dataSources":[{"schema":{"name":"a","fields":[` + strings.Repeat("{},", 4096) + `{}]}}]}`, "4097 fields"},
		{`{"dataSources":[` + strings.Repeat("{},", 1024) + `{}]}`, "1025 data sources"},
	} {
		wantCorruptHeader(t, preamble1, c.header, c.want)
	}
}

func wantCorruptHeader(t *testing.T, preamble, header, want string) {
	t.Helper()
	_, err := wire.NewReader(bytes.NewReader(joinAfter(preamble, []rawFrame{{'H', []byte(header)}})))
	if !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("%.80s: %v, want ErrCorrupt", header, err)
	}
	wantError(t, err, want)
}

func TestFirstFrameIsTheHeader(t *testing.T) {
	t.Parallel()
	for _, kind := range "BCDREf" {
		_, err := wire.NewReader(bytes.NewReader(join([]rawFrame{{byte(kind), make([]byte, 8)}})))
		if !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%c: %v, want ErrCorrupt", kind, err)
		}
	}
	zero := []byte(preamble)
	zero[len(zero)-1] = 0
	if _, err := wire.NewReader(bytes.NewReader(zero)); !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("version 0: %v, want ErrCorrupt", err)
	}
}

// A length is believed when that many bytes have come.
func TestMemoryFollowsTheBytes(t *testing.T) {
	head := join([]rawFrame{{'H', []byte(`{}`)}})
	huge := binary.AppendUvarint(append(bytes.Clone(head), 'x'), 64<<20)
	tooHuge := binary.AppendUvarint(append(bytes.Clone(head), 'x'), 64<<20+1)
	for name, recording := range map[string][]byte{
		"nothing follows": huge, "some follows": append(bytes.Clone(huge), make([]byte, 100_000)...), "too long": tooHuge,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := read(recording)
		runtime.ReadMemStats(&after)
		if !knownDamage(err) {
			t.Errorf("%s: error %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", name, used)
		}
	}
	if _, _, err := read(tooHuge); !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("too long: %v, want ErrCorrupt", err)
	}
	header := join([]rawFrame{{'H', bytes.Repeat([]byte(" "), 2<<20+1)}})
	_, _, err := read(header)
	wantError(t, err, "an impossible length")
	if _, _, err := read(append(bytes.Clone(head), 'x', 0x80, 0x80, 0x80, 0x80)); !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("endless length: %v, want ErrCorrupt", err)
	}
}

// The largest header costs a bounded amount, whatever it is made of.
func TestMemoryOfHeaders(t *testing.T) {
	for _, c := range []struct{ preamble, unit, where string }{
		{preamble1, "{},", `{"dataSources":[%s{}]}`},
		{preamble1, "1,", `{"dataSources":[%s{}]}`},
		{preamble1, "{},", `{"dataSources":[{"schema":{"name":"a","fields":[%s{}]}}]}`},
		{preamble1, "1,", `{"dataSources":[{"schema":{"name":"a","fields":[{"enum":{"values":[%s{}]}}]}}]}`},
		{preamble, "1,", `{"dataSources":[%s{}]}`},
		{preamble, "1,", `{"schemas":[%s{}]}`},
		{preamble, "{},", `{"gadgets":[%s{}]}`},
		{preamble, "1,", `{"schemas":[{"added":[%s{}]}]}`},
	} {
		header := fmt.Sprintf(c.where, strings.Repeat(c.unit, (2<<20-200)/len(c.unit)))
		recording := joinAfter(c.preamble, []rawFrame{{'H', []byte(header)}})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := wire.NewReader(bytes.NewReader(recording))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%q in %s: %v", c.unit, c.where, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 350<<20 {
			t.Errorf("%q in %s: %d MiB were allocated", c.unit, c.where, used>>20)
		}
	}
}

// Errors of the reader below are passed on; they are no damage.
func TestInputFails(t *testing.T) {
	t.Parallel()
	recording := writeExample(t)
	cause := errors.New("the line went dead")
	for _, n := range []int{0, 5, 100, len(recording) - 10} {
		in := io.MultiReader(bytes.NewReader(recording[:n]), iotest.ErrReader(cause))
		r, err := wire.NewReader(in)
		if err == nil {
			_, err = wiretest.ReadAll(r)
		}
		if !errors.Is(err, cause) || knownDamage(err) {
			t.Errorf("after %d bytes: %v, want %v", n, err, cause)
		}
		wantError(t, err, fmt.Sprintf("at byte %d", n))
	}
	_, err := wire.NewReader(idle{})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

// idle gives nothing and no error.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// After the damage the reader says the same again, and the batch is empty but has a schema.
func TestErrorsStay(t *testing.T) {
	t.Parallel()
	recording := writeExample(t)
	bad := bytes.Clone(recording)
	bad[len(bad)-1] ^= 1
	for _, data := range [][]byte{recording, recording[:len(recording)-1], bad} {
		r := wiretest.Reader(t, data)
		_, first := wiretest.ReadAll(r)
		if first == nil {
			first = io.EOF
		}
		b := event.Batch{Rows: [][]byte{{1}}, Lost: []event.Loss{{}}}
		if err := r.Next(t.Context(), &b); err != first {
			t.Errorf("first %v, then %v", first, err)
		}
		if len(b.Rows) > 0 || len(b.Lost) > 0 || !slices.Contains(r.Schemas(), b.Schema) {
			t.Errorf("after the end the batch is %v", b)
		}
	}
}

func TestNextAfterClose(t *testing.T) {
	t.Parallel()
	r := wiretest.Reader(t, writeExample(t))
	check(t, r.Close())
	var b event.Batch
	wantError(t, r.Next(t.Context(), &b), "closed")
}

func TestHeaderTooLargeToWrite(t *testing.T) {
	t.Parallel()
	h := exampleHeader()
	h.DataSources[0].Annotations = json.RawMessage(`"` + strings.Repeat("a", 4<<20) + `"`)
	_, err := wire.NewWriter(io.Discard, h)
	wantError(t, err, "the limit is 2097152")
	h.DataSources[0].Annotations = json.RawMessage(`{`)
	_, err = wire.NewWriter(io.Discard, h)
	wantError(t, err, `data source "open": its annotations are not JSON`)
	_, err = wire.NewWriter(io.Discard, wire.Header{DataSources: []wire.DataSource{{}}})
	wantError(t, err, "data source 0 has no schema")
}
