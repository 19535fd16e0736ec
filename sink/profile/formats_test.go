// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pprofile "github.com/google/pprof/profile"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

var update = flag.Bool("update", false, "write the golden files")

const hostile = `</script><img src=x onerror="document.title='pwned'">`

// example is a profile with everything that a profile can have. More is how many more samples the second stack has.
func example(t testing.TB, more int) *Profile {
	t.Helper()
	mangled := stackOf(app, "work", "main")
	mangled.Locations[0].Function = &symbol.Function{Name: "ns::work(int; char)", System: "_ZN2ns4workEic"}
	cut := stackOf(libc, "memcpy", "qsort_r")
	cut.Truncated = true
	user := stacks{
		stackOf(app, "read_all", "main"), mangled, cut, stackOf(app, "+1f40", "main"), stackOf(nil, "+7f0012345678"),
		stackOf(app, hostile, "main"), stackOf(app, "two\nlines\x1b[31m", "main"), stackOf(nil, "+0"),
	}
	s := newSource(false, user, stacks{stackOf(kernel, "vfs_read", "entry"), stackOf(kernel, "idle")})
	sink := bind(t, s, annotation.Profile{Frequency: 99, Name: "on <CPU>", ValueField: "size"}, 0)
	write(t, sink, s.rows(
		row{comm: "app", pid: 10, user: 1, kernel: 1, size: 5}, row{comm: "app", pid: 11, user: 1, kernel: 1, size: 2},
		row{comm: "app", pid: 10, user: 2, size: uint64(9 + more)}, row{comm: "app", pid: 10, user: 3, size: 1}, row{comm: "app", pid: 10, user: 4, size: 3},
		row{comm: "x;y", pid: 12, user: 5, size: 1}, row{comm: "app", pid: 10, user: 6, size: 4}, row{comm: "app", pid: 10, user: 7, size: 1},
		row{comm: "swapper/0", kernel: 2, size: 70}, row{comm: "gone", pid: 13, size: 2}, row{user: 8, size: 6}))
	begin := time.Unix(1_700_000_000, 5)
	sink.Begin(begin)
	sink.End(begin.Add(10 * time.Second))
	sink.End(begin.Add(20 * time.Second))
	return sink.Profile()
}

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs (%v): got\n%s", file, err, got)
	}
}

func TestFolded(t *testing.T) {
	t.Parallel()
	golden(t, "example.folded", written(t, writeFolded, example(t, 0)))
	d, err := NewDiff(example(t, 0), example(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "diff.folded", written(t, writeFoldedDiff, d))
}

func TestDiffOfDifferentValues(t *testing.T) {
	t.Parallel()
	a, b := example(t, 0), example(t, 0)
	b.Types = []ValueType{{"samples", "count"}, {"wall", "nanoseconds"}}
	if _, err := NewDiff(a, b); err == nil || err.Error() != "the profiles cannot be compared: one has cpu in nanoseconds, the other wall in nanoseconds" {
		t.Errorf("got %v", err)
	}
}

func TestPprofIsWhatPprofReads(t *testing.T) {
	t.Parallel()
	ours := example(t, 0)
	p, err := pprofile.Parse(bytes.NewReader(written(t, writePprof, ours)))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(fmt.Sprintln(*p.SampleType[0], *p.SampleType[1], p.DefaultSampleType, *p.PeriodType, p.Period, p.TimeNanos, p.DurationNanos, p.Comments)),
		"{samples count 0 0} {cpu nanoseconds 0 0} cpu {cpu nanoseconds 0 0} 10101010 1700000000000000005 10000000000 [on <CPU>]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	checkMappings(t, p)
	if got, want := samplesOf(p), describeForPprof(ours); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func checkMappings(t *testing.T, p *pprofile.Profile) {
	t.Helper()
	var got []string
	for _, m := range p.Mapping {
		got = append(got, fmt.Sprintf("%d %s %s %x-%x +%x %v", m.ID, m.File, m.BuildID, m.Start, m.Limit, m.Offset, m.HasFunctions))
	}
	if want := []string{"1 /usr/bin/app 0a0b 1000-9000 +1000 true", "2 /lib/libc.so.6 0c0d 2000-99000 +2000 true", "3 [kernel]  0-0 +0 true"}; !slices.Equal(got, want) {
		t.Errorf("mappings: got %q, want %q", got, want)
	}
	for _, l := range p.Location {
		if l.ID == 0 {
			t.Errorf("location %+v has the id 0", l)
		}
	}
	for _, f := range p.Function {
		if f.ID == 0 || f.Name == "" || f.SystemName == "" {
			t.Errorf("function %+v", f)
		}
		if (f.Name == "ns::work(int; char)") != (f.SystemName == "_ZN2ns4workEic") {
			t.Errorf("%q is %q", f.SystemName, f.Name)
		}
	}
}

// samplesOf describes the samples of pprof's own library, one in a line.
func samplesOf(p *pprofile.Profile) []string {
	var all []string
	for _, s := range p.Sample {
		var b strings.Builder
		for _, l := range s.Location {
			name := ""
			if len(l.Line) > 0 {
				name = l.Line[0].Function.Name
			}
			file := ""
			if l.Mapping != nil {
				file = l.Mapping.File
			}
			fmt.Fprintf(&b, "%q %s %x, ", name, file, l.Address)
		}
		fmt.Fprintf(&b, "%v %v %v", s.Value, s.Label, s.NumLabel)
		all = append(all, b.String())
	}
	slices.Sort(all)
	return all
}

// describeForPprof describes our samples as samplesOf does.
func describeForPprof(p *Profile) []string {
	var all []string
	for _, s := range p.Samples {
		var b strings.Builder
		for _, f := range s.Stack {
			name, file := "", ""
			if f.Function != nil {
				name = f.Function.Name
			}
			if f.Module != nil {
				file = f.Module.Name
			}
			fmt.Fprintf(&b, "%q %s %x, ", name, file, f.Address)
		}
		texts, numbers := map[string][]string{}, map[string][]int64{}
		for _, l := range s.Labels {
			if l.IsNumber && l.Number != 0 { // pprof drops numbers that are 0
				numbers[l.Key] = []int64{l.Number}
			} else if !l.IsNumber {
				texts[l.Key] = []string{l.Text}
			}
		}
		fmt.Fprintf(&b, "%v %v %v", s.Values, texts, numbers)
		all = append(all, b.String())
	}
	slices.Sort(all)
	return all
}

// The units of labels that are numbers arrive.
func TestPprofUnitsOfLabels(t *testing.T) {
	t.Parallel()
	s := newSource(true, stacks{stackOf(app, "main")}, nil)
	annotate(t, s.Schema, "size_raw attribute;delta attribute")
	sink := bind(t, s, annotation.Profile{}, 0)
	write(t, sink, s.rows(row{user: 1, size: 4096, delta: -3}))
	p, err := pprofile.Parse(bytes.NewReader(written(t, writePprof, sink.Profile())))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Sample[0].NumLabel, p.Sample[0].NumUnit, []string{p.DefaultSampleType}); got != "map[delta:[-3] size_raw:[4096]] map[size_raw:[bytes]] [events]" {
		t.Errorf("got %s", got)
	}
}

// A profile without samples, and one of the kernel alone, can be read too.
func TestPprofOfLittle(t *testing.T) {
	t.Parallel()
	for _, rows := range [][]row{nil, {{kernel: 1}}} {
		s := newSource(true, nil, stacks{stackOf(kernel, "idle")})
		sink := bind(t, s, annotation.Profile{}, 0)
		write(t, sink, s.rows(rows...))
		p, err := pprofile.Parse(bytes.NewReader(written(t, writePprof, sink.Profile())))
		if err != nil || len(p.Sample) != len(rows) {
			t.Errorf("%d rows: %v, %v", len(rows), p, err)
		}
	}
}

// The program itself shows the functions.
func TestPprofProgram(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "profile.pb.gz")
	if err := os.WriteFile(file, written(t, writePprof, example(t, 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode string
		want []string
	}{
		{"-top", []string{"File: app", "Type: cpu", "Duration: 10s, Total samples = 1.05s (10.51%)", "idle", "ns::work", "vfs_read"}},
		{"-traces", []string{"comm:  app", "pid:  11", "vfs_read\n", "[truncated]", "[no stack]", `two\nlines\x1b[31m`}},
		{"-tags", []string{"comm: Total", "pid: Total"}},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "tool", "pprof", c.mode, file).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", c.mode, err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q is missing in\n%s", c.mode, want, out)
			}
		}
	}
}

// The bytes depend only on what the samples are, not on the order of rows or on handles.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	make := func(order ...int) *Profile {
		all := []*symbol.Stack{stackOf(app, "a", "main"), stackOf(libc, "b", "main"), stackOf(app, "c", "main")}
		var user stacks
		var rows []row
		for i, n := range order {
			user = append(user, all[n])
			rows = append(rows, row{comm: "c", pid: uint32(n), user: event.Handle(i + 1)})
		}
		s := newSource(true, user, nil)
		sink := bind(t, s, annotation.Profile{}, 0)
		write(t, sink, s.rows(rows...))
		return sink.Profile()
	}
	for _, f := range Formats() {
		if a, b := written(t, f.Write, make(0, 1, 2)), written(t, f.Write, make(2, 0, 1)); !bytes.Equal(a, b) {
			t.Errorf("%s: %d and %d bytes differ", f.Name, len(a), len(b))
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pprof", "folded", "flamegraph"} {
		if f, ok := Lookup(name); !ok || f.Name != name || len(written(t, f.Write, example(t, 0))) < 100 {
			t.Errorf("%s: %v", name, ok)
		}
	}
	if _, ok := Lookup("json"); ok {
		t.Error("json is no format of profiles")
	}
}

// failing takes some bytes, in pieces, and then no more.
type failing struct {
	left    int
	longest int
}

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	f.longest = max(f.longest, len(p))
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// Profiles are written in pieces, and the error of a writer comes back.
func TestWritingFails(t *testing.T) {
	t.Parallel()
	var rows []row
	for i := range 5000 {
		rows = append(rows, row{comm: fmt.Sprint(i), pid: uint32(i), user: event.Handle(i%50 + 1)})
	}
	s := newSource(true, nil, nil)
	for i := range s.Fields {
		if f := &s.Fields[i]; strings.HasPrefix(f.Name, "ustack") {
			f.Table = newLazyStacks(30, 100)
		}
	}
	sink := bind(t, s, annotation.Profile{}, 0)
	write(t, sink, s.rows(rows...))
	p := sink.Profile()
	for _, f := range Formats() {
		size := len(written(t, f.Write, p))
		for _, left := range []int{0, size / 2, size - 1} {
			w := &failing{left: left}
			if err := f.Write(w, p); !errors.Is(err, errFull) {
				t.Errorf("%s: after %d of %d bytes: %v", f.Name, left, size, err)
			}
			if w.longest > pieceSize {
				t.Errorf("%s: a piece has %d bytes", f.Name, w.longest)
			}
		}
	}
}
