// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	messages "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// sample is a data source with two labels and each kind of metric.
func sample() *event.Schema {
	s := &event.Schema{Name: "calls", Single: true}
	add := func(name string, kind event.Kind, size uint32, says event.InMetrics) {
		s.Fields = append(s.Fields, event.Field{Name: name, Kind: kind, Parent: event.NoParent, Off: s.Size, Size: size, Ann: event.Annotations{Metric: &says}})
		s.Size += size
	}
	add("proc.comm", event.String, 8, event.InMetrics{Role: event.KeyRole})
	add("pid", event.Uint, 8, event.InMetrics{Role: event.KeyRole})
	add("sent.bytes", event.Uint, 8, event.InMetrics{Role: event.CounterRole, Description: "bytes sent", Unit: "By"})
	add("cwnd", event.Uint, 8, event.InMetrics{Role: event.GaugeRole})
	add("balance", event.Int, 8, event.InMetrics{Role: event.CounterRole})
	add("wait", event.Int, 8, event.InMetrics{Role: event.HistogramRole, Boundaries: []float64{1, 10}})
	add("latency", event.Uint, 24, event.InMetrics{Role: event.HistogramRole, Unit: "µs"})
	s.Fields[len(s.Fields)-1].Count = 6
	return s
}

type row struct {
	comm           string
	pid, sent, win uint64
	balance, wait  int64
	slots          [6]uint32
}

func write(t testing.TB, sink *metrics.Sink, rows ...row) {
	t.Helper()
	b := &event.Batch{}
	b.Reset(sample())
	for _, r := range rows {
		rec := make([]byte, 8, 80)
		copy(rec, r.comm)
		for _, n := range []uint64{r.pid, r.sent, r.win, uint64(r.balance), uint64(r.wait)} {
			rec = binary.LittleEndian.AppendUint64(rec, n)
		}
		for _, n := range r.slots {
			rec = binary.LittleEndian.AppendUint32(rec, n)
		}
		b.Rows = append(b.Rows, rec)
	}
	if err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
}

// newSink returns a sink of the sample, which counts the rows, too.
func newSink(t testing.TB, o metrics.Options) *metrics.Sink {
	t.Helper()
	sink := metrics.New(annotation.SourceMetrics{CounterName: "calls"}, o)
	if _, err := sink.Bind(sample()); err != nil {
		t.Fatal(err)
	}
	return sink
}

// read reads a request with the official messages, which are the same on the wire as an ExportMetricsServiceRequest.
func read(t testing.TB, request []byte) *messages.MetricsData {
	t.Helper()
	var data messages.MetricsData
	if err := proto.Unmarshal(request, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.ProtoReflect().GetUnknown()) > 0 {
		t.Error("unknown fields")
	}
	return &data
}

func attributesOf(all []*common.KeyValue) string {
	var texts []string
	for _, a := range all {
		text := a.GetValue().GetStringValue()
		if v, ok := a.GetValue().GetValue().(*common.AnyValue_BoolValue); ok {
			text = fmt.Sprintf("bool:%v", v.BoolValue)
		}
		texts = append(texts, a.GetKey()+"="+text)
	}
	return strings.Join(texts, ",")
}

func numbers(points []*messages.NumberDataPoint) (all []string) {
	for _, p := range points {
		value := fmt.Sprint("int ", p.GetAsInt())
		if _, ok := p.GetValue().(*messages.NumberDataPoint_AsDouble); ok {
			value = fmt.Sprint("double ", p.GetAsDouble())
		}
		all = append(all, fmt.Sprintf("{%s} %s", attributesOf(p.GetAttributes()), value))
	}
	return all
}

// describe lists the data points of a request, without their times.
func describe(data *messages.MetricsData) (all []string) {
	for _, r := range data.GetResourceMetrics() {
		for _, scope := range r.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				head := scope.GetScope().GetName() + "/" + m.GetName()
				var points []string
				switch d := m.GetData().(type) {
				case *messages.Metric_Gauge:
					head += " gauge"
					points = numbers(d.Gauge.GetDataPoints())
				case *messages.Metric_Sum:
					head += fmt.Sprintf(" sum %v monotonic=%v", d.Sum.GetAggregationTemporality(), d.Sum.GetIsMonotonic())
					points = numbers(d.Sum.GetDataPoints())
				case *messages.Metric_Histogram:
					head += fmt.Sprintf(" histogram %v", d.Histogram.GetAggregationTemporality())
					for _, p := range d.Histogram.GetDataPoints() {
						sum := "none"
						if p.Sum != nil {
							sum = fmt.Sprint(p.GetSum())
						}
						points = append(points, fmt.Sprintf("{%s} count %d sum %s %v %v", attributesOf(p.GetAttributes()), p.GetCount(), sum, p.GetExplicitBounds(), p.GetBucketCounts()))
					}
				}
				head = strings.ReplaceAll(head, "AGGREGATION_TEMPORALITY_", "")
				for _, p := range points {
					all = append(all, head+" "+p)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// encodeAll returns the only request of a source.
func encodeAll(t testing.TB, s *source, isDelta bool) *messages.MetricsData {
	t.Helper()
	s.take()
	r := &round{sources: []*source{s}}
	request, points, after := r.next(newEncoder(map[string]string{"service.name": "gizmo", "host.name": "box\xff"}, isDelta))
	data := read(t, request)
	if n := len(describe(data)); after.at != 1 || n != points {
		t.Errorf("%d data points in the request, counted %d; it ends at source %d", n, points, after.at)
	}
	return data
}

// The messages have the names as the author wrote them, and exact values.
func TestCumulative(t *testing.T) {
	t.Parallel()
	sink := newSink(t, metrics.Options{MaxSeries: 1})
	write(t, sink, row{comm: "cat", pid: 7, sent: 2, win: 10, balance: 5, wait: 3, slots: [6]uint32{1, 0, 0, 3}},
		row{comm: "cat", pid: 7, sent: 4, win: 12, balance: -9, wait: 11, slots: [6]uint32{0, 0, 0, 2, 0, 2}}, row{comm: "dog", sent: math.MaxUint64})
	data := encodeAll(t, &source{scope: "my\xffmetrics", reader: sink}, false)
	const labels, overflow = "{proc.comm=cat,pid=7}", "{otel.metric.overflow=bool:true}"
	compare(t, describe(data), []string{
		"my\uFFFDmetrics/sent.bytes sum CUMULATIVE monotonic=true " + labels + " int 6",
		"my\uFFFDmetrics/sent.bytes sum CUMULATIVE monotonic=true " + overflow + " double 1.8446744073709552e+19",
		"my\uFFFDmetrics/cwnd gauge " + labels + " int 12",
		"my\uFFFDmetrics/cwnd gauge " + overflow + " int 0",
		"my\uFFFDmetrics/balance sum CUMULATIVE monotonic=false " + labels + " int -4",
		"my\uFFFDmetrics/balance sum CUMULATIVE monotonic=false " + overflow + " int 0",
		"my\uFFFDmetrics/calls sum CUMULATIVE monotonic=true " + labels + " int 2",
		"my\uFFFDmetrics/calls sum CUMULATIVE monotonic=true " + overflow + " int 1",
		"my\uFFFDmetrics/wait histogram CUMULATIVE " + labels + " count 2 sum 14 [1 10] [0 1 1]",
		"my\uFFFDmetrics/wait histogram CUMULATIVE " + overflow + " count 1 sum 0 [1 10] [1 0 0]",
		"my\uFFFDmetrics/latency histogram CUMULATIVE " + labels + " count 8 sum 105 [1 2 4 8 16 32] [1 0 0 5 0 2 0]",
		"my\uFFFDmetrics/latency histogram CUMULATIVE " + overflow + " count 0 sum 0 [1 2 4 8 16 32] [0 0 0 0 0 0 0]",
	})
	resource := data.GetResourceMetrics()[0].GetResource()
	if got := attributesOf(resource.GetAttributes()); got != "host.name=box\uFFFD,service.name=gizmo" {
		t.Errorf("resource %s", got)
	}
	for _, m := range data.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
		if m.GetName() == "sent.bytes" && (m.GetUnit() != "By" || m.GetDescription() != "bytes sent") || m.GetName() == "latency" && m.GetUnit() != "µs" {
			t.Errorf("%s: unit %q, description %q", m.GetName(), m.GetUnit(), m.GetDescription())
		}
	}
}

// A difference has what came since the one before, and nothing of series to which nothing came, except for gauges.
func TestDelta(t *testing.T) {
	t.Parallel()
	sink := newSink(t, metrics.Options{})
	s := &source{scope: "m", reader: sink, added: time.Now()}
	write(t, sink, row{comm: "cat", sent: math.MaxUint64, balance: 3, wait: 1}, row{comm: "dog", sent: 1})
	encodeAll(t, s, true)
	s.done()
	write(t, sink, row{comm: "cat", sent: math.MaxInt64, win: 2, balance: -5, wait: 100}, row{comm: "new", sent: 9, wait: -1})
	const cat, dog, fresh = "{proc.comm=cat,pid=0}", "{proc.comm=dog,pid=0}", "{proc.comm=new,pid=0}"
	compare(t, describe(encodeAll(t, s, true)), []string{
		"m/sent.bytes sum DELTA monotonic=true " + cat + " int 9223372036854775807",
		"m/sent.bytes sum DELTA monotonic=true " + fresh + " int 9",
		"m/cwnd gauge " + cat + " int 2", "m/cwnd gauge " + dog + " int 0", "m/cwnd gauge " + fresh + " int 0",
		"m/balance sum DELTA monotonic=false " + cat + " int -5",
		"m/balance sum DELTA monotonic=false " + fresh + " int 0",
		"m/calls sum DELTA monotonic=true " + cat + " int 1", "m/calls sum DELTA monotonic=true " + fresh + " int 1",
		// A value was negative, so there are no sums.
		"m/wait histogram DELTA " + cat + " count 1 sum none [1 10] [0 0 1]",
		"m/wait histogram DELTA " + fresh + " count 1 sum none [1 10] [1 0 0]",
		"m/latency histogram DELTA " + fresh + " count 0 sum 0 [1 2 4 8 16 32] [0 0 0 0 0 0 0]",
	})
}

// startsAndEnds returns the times of the counter of rows.
func startsAndEnds(data *messages.MetricsData) (starts, ends []uint64) {
	for _, m := range data.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics() {
		for _, p := range m.GetSum().GetDataPoints() {
			if m.GetName() == "calls" {
				starts, ends = append(starts, p.GetStartTimeUnixNano()), append(ends, p.GetTimeUnixNano())
			}
		}
		for _, p := range m.GetGauge().GetDataPoints() {
			if p.GetStartTimeUnixNano() != 0 {
				starts = append(starts, 0)
			}
		}
	}
	return starts, ends
}

// A difference begins where the one before ends. A cumulative value begins with its series, each time.
func TestTimes(t *testing.T) {
	t.Parallel()
	for _, isDelta := range []bool{false, true} {
		sink := newSink(t, metrics.Options{})
		began := uint64(time.Now().UnixNano())
		s := &source{reader: sink, added: time.Now()}
		write(t, sink, row{comm: "a"})
		starts, ends := startsAndEnds(encodeAll(t, s, isDelta))
		if len(starts) != 1 || starts[0] < began || starts[0] >= ends[0] {
			t.Fatalf("delta %v: from %v to %v; the test began at %d", isDelta, starts, ends, began)
		}
		if isDelta {
			s.done()
		}
		write(t, sink, row{comm: "a"})
		again, _ := startsAndEnds(encodeAll(t, s, isDelta))
		if want := map[bool]uint64{false: starts[0], true: ends[0]}[isDelta]; len(again) != 1 || again[0] != want {
			t.Errorf("delta %v: the second begins at %v, want %d", isDelta, again, want)
		}
	}
	// The clock was set back, and to before 1970.
	now := time.Unix(100, 0)
	if at := newTimes(now.Add(time.Hour), now); at.start >= at.end || at.end != uint64(now.UnixNano()) {
		t.Errorf("times %v", at)
	}
	if at := newTimes(now, time.Unix(-5, 0)); at != (times{0, 1}) {
		t.Errorf("times %v", at)
	}
}

// stepping is a sink on a machine whose clock is set.
type stepping struct {
	*metrics.Sink
	by time.Duration
}

func (s *stepping) Snapshot(dst *metrics.Snapshot) {
	s.Sink.Snapshot(dst)
	dst.Time = dst.Time.Add(s.by)
}

// If the clock is set back to before a series began, it begins anew once: also when the clock has come to where it was.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	sink := &stepping{Sink: newSink(t, metrics.Options{})}
	s := &source{reader: sink}
	write(t, sink.Sink, row{comm: "a"})
	before, _ := startsAndEnds(encodeAll(t, s, false))
	sink.by = -time.Hour
	after, ends := startsAndEnds(encodeAll(t, s, false))
	if after[0] >= ends[0] || after[0] == before[0] {
		t.Fatalf("from %d to %d; before from %d", after[0], ends[0], before[0])
	}
	for _, by := range []time.Duration{-time.Hour, -time.Minute, time.Hour} {
		sink.by = by
		if again, ends := startsAndEnds(encodeAll(t, s, false)); again[0] != after[0] || again[0] >= ends[0] {
			t.Errorf("%v: from %d to %d, want from %d", by, again[0], ends[0], after[0])
		}
	}
	write(t, sink.Sink, row{comm: "b"})
	starts, _ := startsAndEnds(encodeAll(t, s, false))
	if starts[0] != after[0] || starts[1] < before[0] {
		t.Errorf("the old one begins at %d, want %d; the new one at %d, want after %d", starts[0], after[0], starts[1], before[0])
	}
}

// Many series are in several requests, none of them large, and each series is in one of them.
func TestManySeries(t *testing.T) {
	t.Parallel()
	const count = 10_000
	sink, other := newSink(t, metrics.Options{MaxSeries: count}), newSink(t, metrics.Options{MaxSeries: count})
	var rows []row
	for pid := range uint64(count) {
		rows = append(rows, row{comm: "cat", pid: pid, sent: pid})
	}
	write(t, sink, rows...)
	write(t, other, rows[:10]...)
	r := &round{sources: []*source{{scope: "one", reader: sink}, {scope: "two", reader: other}}}
	for _, s := range r.sources {
		s.take()
	}
	e := newEncoder(nil, false)
	seen := make(map[string]int)
	requests, total := 0, 0
	for r.at < len(r.sources) {
		request, points, after := r.next(e)
		again, _, _ := r.next(e)
		if len(request) > maxRequest*11/10 || string(again) != string(request) {
			t.Fatalf("a request of %d bytes; made again it is the same: %v", len(request), string(again) == string(request))
		}
		total += points
		requests++
		for _, p := range describe(read(t, request)) {
			seen[p]++
		}
		*r = after
	}
	if want := (count + 10) * 6; total != want || len(seen) != want {
		t.Errorf("%d data points, %d different ones, want %d", total, len(seen), want)
	}
	for i := range count {
		if p := fmt.Sprintf("one/sent.bytes sum CUMULATIVE monotonic=true {proc.comm=cat,pid=%d} int %d", i, i); seen[p] != 1 {
			t.Fatalf("%s: seen %d times", p, seen[p])
		}
	}
	t.Logf("%d requests", requests)
}

// counters returns a sink with series of a counter, and what adds to each.
func counters(t testing.TB, count int) (sink *metrics.Sink, more func()) {
	t.Helper()
	s := sample()
	s.Fields, s.Size = s.Fields[:3], 24
	sink = metrics.New(annotation.SourceMetrics{}, metrics.Options{MaxSeries: count})
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{}
	b.Reset(s)
	for i := range uint64(count) {
		b.Rows = append(b.Rows, binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte("cat\x00\x00\x00\x00\x00"), i), 5))
	}
	more = func() { _ = sink.Write(b) }
	more()
	return sink, more
}

// BenchmarkRequest makes the request of 10,000 series of a counter.
func BenchmarkRequest(b *testing.B) {
	for _, isDelta := range []bool{false, true} {
		b.Run(map[bool]string{false: Cumulative, true: Delta}[isDelta], func(b *testing.B) {
			sink, more := counters(b, 10_000)
			src := &source{scope: "bench", reader: sink}
			src.take()
			if isDelta {
				src.done()
				more()
				src.take()
			}
			e := newEncoder(map[string]string{"service.name": "gizmo"}, isDelta)
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				r := &round{sources: []*source{src}}
				for r.at < 1 {
					request, _, after := r.next(e)
					size += len(request)
					*r = after
				}
			}
			b.ReportMetric(float64(size)/float64(b.N)/1e6, "MB")
		})
	}
}
