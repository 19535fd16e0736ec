// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

func text(sink *Sink) string {
	var s Snapshot
	sink.Snapshot(&s)
	return string(s.AppendText(nil))
}

// value returns the value of an instrument in the only series.
func value(t *testing.T, sink *Sink, instrument int) string {
	t.Helper()
	var s Snapshot
	sink.Snapshot(&s)
	all := s.Sorted()
	if len(all) != 1 {
		t.Fatalf("%d series", len(all))
	}
	v, ok := all[0].Value(instrument)
	if !ok {
		return "none"
	}
	return string(v.Append(nil, &s.Instruments[instrument]))
}

// Rows with the same keys are added up, each field as what it is.
func TestText(t *testing.T) {
	t.Parallel()
	sink, _ := bound(t, newSchema(true), Options{})
	write(t, sink, batchOf(newSchema(true), row{comm: "cat", pid: 7, retries: 2, delta: -1, window: 10, latency: 1, slots: [6]uint32{1, 0, 0, 3}},
		row{comm: "a\x1b\"b", pid: 7, retries: 1, latency: 99}))
	write(t, sink, batchOf(newSchema(true), row{comm: "cat", pid: 7, retries: 4, delta: -2, window: 12, latency: 2.5, slots: [6]uint32{0, 0, 0, 2, 0, 2}}))
	const want = `delta.sum{comm="a\x1b\"b",pid="7"} 0
delta.sum{comm="cat",pid="7"} -3
retries{comm="a\x1b\"b",pid="7"} 1
retries{comm="cat",pid="7"} 6
window{comm="a\x1b\"b",pid="7"} 0
window{comm="cat",pid="7"} 12
latency{comm="a\x1b\"b",pid="7"}
                         : count    distribution
         0 -> 1          : 0        |                                        |
         1 -> 10.5       : 0        |                                        |
      10.5 -> +Inf       : 1        |****************************************|

latency{comm="cat",pid="7"}
                         : count    distribution
         0 -> 1          : 1        |****************************************|
         1 -> 10.5       : 1        |****************************************|

slots{comm="a\x1b\"b",pid="7"}
        µs               : count    distribution
         0 -> 1          : 0        |                                        |
         1 -> 2          : 0        |                                        |
         2 -> 4          : 0        |                                        |
         4 -> 8          : 0        |                                        |
         8 -> 16         : 0        |                                        |
        16 -> 32         : 0        |                                        |

slots{comm="cat",pid="7"}
        µs               : count    distribution
         0 -> 1          : 1        |********                                |
         1 -> 2          : 0        |                                        |
         2 -> 4          : 0        |                                        |
         4 -> 8          : 5        |****************************************|
         8 -> 16         : 0        |                                        |
        16 -> 32         : 2        |****************                        |

events{comm="a\x1b\"b",pid="7"} 1
events{comm="cat",pid="7"} 2
`
	if got := text(sink); got != want {
		t.Errorf("got\n%s", got)
	}
	if sum := slotSum(t, sink); sum != 105 {
		t.Errorf("the sum of the slots is %v, want 105", sum)
	}
}

// An empty label is the same as none: it is left out, and so are the braces if all are empty.
func TestEmptyLabels(t *testing.T) {
	t.Parallel()
	labels := []string{"disk", "operation"}
	for want, values := range map[string][]string{
		"latency":                              {"", ""},
		`latency{disk="sda"}`:                  {"sda", ""},
		`latency{operation="read"}`:            {"", "read"},
		`latency{disk="sda",operation="read"}`: {"sda", "read"},
		`latency{otel.metric.overflow="true"}`: nil,
	} {
		s := Snapshot{Labels: labels}
		if got := string(s.appendName(nil, &Instrument{Name: "latency"}, &Series{Labels: values, Overflow: values == nil})); got != want {
			t.Errorf("%q: %s, want %s", values, got, want)
		}
	}
}

func slotSum(t *testing.T, sink *Sink) float64 {
	t.Helper()
	var s Snapshot
	sink.Snapshot(&s)
	all := s.Sorted()
	v, _ := all[len(all)-1].Value(slots)
	return v.Float(&s.Instruments[slots])
}

// Sums beyond 64 bits are exact, and negative ones, too.
func TestSumsAreExact(t *testing.T) {
	t.Parallel()
	sink, _ := bound(t, newSchema(true), Options{})
	for range 3 {
		write(t, sink, batchOf(newSchema(true), row{retries: math.MaxUint64, delta: math.MinInt32}))
	}
	if got := value(t, sink, retries); got != "55340232221128654845" {
		t.Errorf("three times the largest number is %s", got)
	}
	if got := value(t, sink, deltas); got != "-6442450944" {
		t.Errorf("three times the smallest number is %s", got)
	}
	in := Instrument{}
	for v, want := range map[Value]float64{{1, 0}: 1 << 64, {math.MaxUint64, 0}: -1 << 64, {0, 1 << 63}: 1 << 63, {math.MaxUint64, math.MaxUint64}: -1} {
		if got := v.Float(&in); got != want {
			t.Errorf("%v is %v, want %v", v, got, want)
		}
	}
}

// Objects that count with log2l have slots that begin at powers of two.
func TestLog2Slots(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	s.Fields[6].Ann.Metric.Log2Slots = true
	sink, _ := bound(t, s, Options{})
	write(t, sink, batchOf(s, row{slots: [6]uint32{1, 0, 0, 3, 0, 2}}))
	var snapshot Snapshot
	sink.Snapshot(&snapshot)
	if got, want := snapshot.Instruments[slots].Boundaries, []float64{2, 4, 8, 16, 32, 64}; !slices.Equal(got, want) {
		t.Errorf("boundaries %v, want %v", got, want)
	}
	if got, want := value(t, sink, slots), "178"; got != want { // 2 + 3*16 + 2*64
		t.Errorf("sum %s, want %s", got, want)
	}
}

// JSON has the numbers with all their digits.
func TestJSON(t *testing.T) {
	t.Parallel()
	sink, _ := bound(t, newSchema(true), Options{MaxSeries: 1})
	report := Report{Sink: sink, JSON: true}
	if text, err := report.Append(nil); err != nil || string(text) != "[]\n" {
		t.Errorf("no series: %q, %v", text, err)
	}
	write(t, sink, batchOf(newSchema(true), row{comm: "<\x1b\xff", pid: 7, retries: math.MaxUint64, delta: -1, latency: math.NaN(), slots: [6]uint32{1, 0, 0, 3}},
		row{comm: "<\x1b\xff", pid: 7, retries: 2}, row{comm: "b"}))
	text, err := report.Append([]byte("before "))
	if err != nil {
		t.Fatal(err)
	}
	const labels = `"labels":{"comm":"<\u001b�","pid":"7"}`
	const beyond = `"labels":{},"overflow":true`
	want := `before [{"name":"delta.sum","type":"counter",LABELS,"value":-1},{"name":"delta.sum","type":"counter",BEYOND,"value":0},` +
		`{"name":"retries","type":"counter",LABELS,"value":18446744073709551617},{"name":"retries","type":"counter",BEYOND,"value":0},` +
		`{"name":"window","type":"gauge",LABELS,"value":0},{"name":"window","type":"gauge",BEYOND,"value":0},` +
		`{"name":"latency","type":"histogram",LABELS,"count":2,"sum":null,"bounds":[1,10.5],"counts":[1,0,1]},` +
		`{"name":"latency","type":"histogram",BEYOND,"count":1,"sum":0,"bounds":[1,10.5],"counts":[1,0,0]},` +
		`{"name":"slots","type":"histogram","unit":"µs",LABELS,"count":4,"sum":25,"bounds":[1,2,4,8,16,32],"counts":[1,0,0,3,0,0,0]},` +
		`{"name":"slots","type":"histogram","unit":"µs",BEYOND,"count":0,"sum":0,"bounds":[1,2,4,8,16,32],"counts":[0,0,0,0,0,0,0]},` +
		`{"name":"events","type":"counter",LABELS,"value":2},{"name":"events","type":"counter",BEYOND,"value":1}]` + "\n"
	want = strings.ReplaceAll(strings.ReplaceAll(want, "LABELS", labels), "BEYOND", beyond)
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// Readings are series of numbers that something else counts.
func TestReadings(t *testing.T) {
	t.Parallel()
	n := uint64(1<<63 - 1)
	r := NewReadings([]Instrument{{Name: "runs"}, {Name: "time", Unit: "s", Float: true}}, []string{"program", "hook"}, func() []Reading {
		n++
		return []Reading{{[]string{"b\xff", "h"}, []Value{Whole(1), Fraction(0.5)}}, {[]string{"a", ""}, []Value{Whole(n), Fraction(2)}}}
	})
	var s Snapshot
	for _, want := range []string{
		"runs{program=\"a\"} 9223372036854775808\nruns{program=\"b\uFFFD\",hook=\"h\"} 1\ntime{program=\"a\"} 2 s\ntime{program=\"b\uFFFD\",hook=\"h\"} 0.5 s\n",
		"runs{program=\"a\"} 9223372036854775809\nruns{program=\"b\uFFFD\",hook=\"h\"} 1\ntime{program=\"a\"} 2 s\ntime{program=\"b\uFFFD\",hook=\"h\"} 0.5 s\n",
	} {
		if r.Snapshot(&s); string(s.AppendText(nil)) != want {
			t.Errorf("got\n%s\nwant\n%s", s.AppendText(nil), want)
		}
	}
}

// A million distinct keys take no more memory than the limit allows, and all of them count.
func TestAMillionKeys(t *testing.T) {
	t.Parallel()
	sink, _ := bound(t, newSchema(true), Options{})
	rows := make([]row, 1000)
	for i := range uint32(1000) {
		for j := range rows {
			rows[j] = row{pid: i*1000 + uint32(j), retries: 1}
		}
		write(t, sink, batchOf(newSchema(true), rows...))
	}
	var snapshot Snapshot
	sink.Snapshot(&snapshot)
	var total float64
	for series := range snapshot.All() {
		v, _ := series.Value(retries)
		total += v.Float(&snapshot.Instruments[retries])
	}
	if snapshot.Len() != DefaultMaxSeries+1 || snapshot.Beyond != 1_000_000-DefaultMaxSeries || total != 1_000_000 {
		t.Errorf("%d series, %d rows beyond the limit, total %v", snapshot.Len(), snapshot.Beyond, total)
	}
}

// The first row beyond the limit is told, once.
func TestOnFull(t *testing.T) {
	t.Parallel()
	told := 0
	sink, _ := bound(t, newSchema(true), Options{MaxSeries: 2, OnFull: func() { told++ }})
	for i, want := range []int{0, 0, 1, 1} {
		write(t, sink, batchOf(newSchema(true), row{pid: uint32(i)}))
		if told != want {
			t.Errorf("after %d series it was told %d times, want %d", i+1, told, want)
		}
	}
	if series, beyond := sink.Usage(); series != 2 || beyond != 2 {
		t.Errorf("%d series and %d rows beyond", series, beyond)
	}
}

// Rows beyond the limit are in one series, and are counted.
func TestOverflow(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	sink, _ := bound(t, s, Options{MaxSeries: 10})
	for pid := range uint32(1000) {
		write(t, sink, batchOf(s, row{pid: pid, retries: 1}, row{pid: pid % 10, retries: 1}))
	}
	var snapshot Snapshot
	sink.Snapshot(&snapshot)
	all := snapshot.Sorted()
	total := 0.0
	for i, series := range all {
		v, _ := series.Value(retries)
		total += v.Float(&snapshot.Instruments[retries])
		if series.Overflow != (i == len(all)-1) {
			t.Errorf("series %d of %d is that of the overflow: %v", i, len(all), series.Overflow)
		}
	}
	if snapshot.Beyond != 990 || len(all) != 11 || snapshot.Len() != 11 || total != 2000 {
		t.Errorf("%d rows beyond the limit, %d series, total %v", snapshot.Beyond, len(all), total)
	}
	if !strings.Contains(string(snapshot.AppendText(nil)), "retries{otel.metric.overflow=\"true\"} 990\n") {
		t.Errorf("%s", snapshot.AppendText(nil))
	}
}

// A series without rows goes after a while, and its place is used again. The series of the overflow goes, too.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	sink, clock := bound(t, s, Options{MaxSeries: 2, Expiry: time.Minute})
	write(t, sink, batchOf(s, row{pid: 1, retries: 1, slots: [6]uint32{7}}, row{pid: 2, retries: 1}, row{pid: 3, retries: 1}))
	*clock = clock.Add(40 * time.Second)
	write(t, sink, batchOf(s, row{pid: 2, retries: 1}))
	*clock = clock.Add(40 * time.Second)
	write(t, sink, batchOf(s, row{pid: 4, retries: 5}))
	var snapshot Snapshot
	sink.Snapshot(&snapshot)
	var got []string
	for _, series := range snapshot.Sorted() {
		v, _ := series.Value(retries)
		got = append(got, fmt.Sprint(series.Labels, string(v.Append(nil, &snapshot.Instruments[retries])), series.Buckets(slots)))
	}
	if want := []string{"[ 2]2[0 0 0 0 0 0 0]", "[ 4]5[0 0 0 0 0 0 0]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(sink.table.keys) > 3 {
		t.Errorf("%d places", len(sink.table.keys))
	}
}

// A gauge whose key has gone from the arrays is not shown any more. Counters stay, and the gauges of single events.
func TestOldGauges(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{false, true} {
		s := newSchema(single)
		sink, _ := bound(t, s, Options{})
		write(t, sink, batchOf(s, row{window: 9, retries: 1}))
		want := []string{"9", "9", "none"}
		if single {
			want[2] = "9"
		}
		for i := range want {
			if i > 0 {
				part := batchOf(s)
				part.Continues = true // not the end of an array
				write(t, sink, part)
				write(t, sink, batchOf(s))
			}
			if got := value(t, sink, window); got != want[i] {
				t.Errorf("single %v: after %d empty arrays the gauge is %s, want %s", single, i, got, want[i])
			}
		}
		if got := value(t, sink, retries); got != "1" {
			t.Errorf("the counter is %s", got)
		}
	}
}

// Keys of all kinds become texts, whatever bytes they have.
func TestLabels(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	s.Fields[2].Ann.Metric = &event.InMetrics{Role: event.KeyRole, Name: "number"}
	s.Fields[5].Ann.Metric = &event.InMetrics{Role: event.KeyRole}
	isKey := event.Annotations{Metric: &event.InMetrics{Role: event.KeyRole}}
	s.Fields = append(s.Fields,
		event.Field{Name: "flag", Kind: event.Bool, Parent: event.NoParent, Off: 24, Size: 1, Ann: isKey},
		event.Field{Name: "raw", Kind: event.Bytes, Parent: event.NoParent, Off: 8, Size: 2, Ann: isKey})
	sink, _ := bound(t, s, Options{})
	write(t, sink, batchOf(s, row{comm: "\xff\xfeb", pid: 0x0201, delta: -5, latency: 0.1, window: 3}, row{comm: "\xfdb", pid: 0x0201, delta: -5, latency: 0.1, window: 3}))
	var snapshot Snapshot
	sink.Snapshot(&snapshot)
	all := snapshot.Sorted()
	if len(all) != 1 {
		t.Fatalf("%d series: names that cannot be told apart are one", len(all))
	}
	if got, want := all[0].Labels, []string{"\uFFFDb", "513", "-5", "0.1", "true", "AQI="}; !slices.Equal(got, want) {
		t.Errorf("labels %q, want %q", got, want)
	}
	if want := []string{"comm", "pid", "number", "latency", "flag", "raw"}; !slices.Equal(snapshot.Labels, want) {
		t.Errorf("names of labels %q, want %q", snapshot.Labels, want)
	}
}

// What the annotations ask for and cannot be is an error.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		change func(s *event.Schema)
		want   string
	}{
		{func(s *event.Schema) { s.Fields[6].Ann.Metric.Role = event.KeyRole }, `metrics: field "slots": an array cannot be a key`},
		{func(s *event.Schema) { s.Fields[0].Ann.Metric.Role = event.CounterRole }, `metrics: field "comm": its values are no numbers of at most 64 bits`},
		{func(s *event.Schema) { s.Fields[2].Ann.Metric.Name = "retries" }, `metrics: two fields have the name "retries"; the annotation metrics.name gives one another name`},
		{func(s *event.Schema) { s.Fields[2].Ann.Metric.Name = "retries_total" }, `metrics: "retries_total" and "retries" have the same name for Prometheus, retries_total; the annotation metrics.name gives one another name`},
		{func(s *event.Schema) { s.Fields[1].Ann.Metric.Name = "comm" }, `metrics: labels: two fields have the name "comm"; the annotation metrics.name gives one another name`},
		{func(s *event.Schema) { s.Fields[6].Size = 12 }, `metrics: field "slots": slots are numbers without sign of 32 or 64 bits`},
		{func(s *event.Schema) { s.Fields = s.Fields[:2] }, "metrics: no field is a counter, gauge or histogram; the annotation metrics.implicit-counter.name makes a counter of the events"},
	} {
		s := newSchema(true)
		tt.change(s)
		if _, err := New(annotation.SourceMetrics{}, Options{}).Bind(s); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// A sink is for one data source. That may be bound again until there are rows: a plan binds sinks before the run does.
func TestBindAgain(t *testing.T) {
	t.Parallel()
	sink, _ := bound(t, newSchema(true), Options{})
	if _, err := sink.Bind(&event.Schema{Name: "other"}); err == nil {
		t.Error("another data source is bound")
	}
	s := newSchema(true)
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	write(t, sink, batchOf(s, row{retries: 3}))
	if got := value(t, sink, retries); got != "3" {
		t.Errorf("the counter is %s", got)
	}
	if _, err := sink.Bind(s); err == nil || !strings.Contains(err.Error(), `they are of data source "sample" already`) {
		t.Errorf("error %v", err)
	}
}

// A float that is no number is in the last bucket.
func TestNotANumber(t *testing.T) {
	t.Parallel()
	s := newSchema(true)
	sink, _ := bound(t, s, Options{})
	write(t, sink, batchOf(s, row{latency: math.NaN()}, row{latency: math.Inf(1)}, row{latency: math.Inf(-1)}, row{latency: 10.5}))
	var snapshot Snapshot
	sink.Snapshot(&snapshot)
	if got := snapshot.Sorted()[0].Buckets(latency); !slices.Equal(got, []uint64{1, 1, 2}) {
		t.Errorf("buckets %v", got)
	}
}

// A row of a series that is known takes no memory.
func TestWriteAllocatesNothing(t *testing.T) {
	s := newSchema(true)
	sink, _ := bound(t, s, Options{})
	b := batchOf(s, row{comm: "cat", pid: 7, slots: [6]uint32{1}}, row{comm: "dog", pid: 8})
	write(t, sink, b)
	if n := testing.AllocsPerRun(100, func() { write(t, sink, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkWrite adds up events into 1,000 series, with one counter and the counter of events. BenchmarkSnapshot copies 10,000 series.
func BenchmarkWrite(b *testing.B) {
	s := newSchema(true)
	for i := range s.Fields {
		if i > 3 {
			s.Fields[i].Types, s.Fields[i].Ann.Metric.Role = nil, event.NoRole
		}
	}
	sink, _ := bound(b, s, Options{})
	var rows []row
	for i := range uint32(1000) {
		rows = append(rows, row{comm: "cat", pid: i, retries: 1})
	}
	batch := batchOf(s, rows...)
	b.ResetTimer()
	for range b.N {
		write(b, sink, batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

func BenchmarkSnapshot(b *testing.B) {
	s := newSchema(true)
	sink, _ := bound(b, s, Options{})
	for i := range uint32(10_000) {
		write(b, sink, batchOf(s, row{comm: "cat", pid: i, retries: 1}))
	}
	var snapshot Snapshot
	b.ResetTimer()
	for range b.N {
		sink.Snapshot(&snapshot)
	}
}
