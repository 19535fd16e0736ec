// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// sample is a data source with a label, a counter, a gauge and a histogram of slots.
func sample() *event.Schema {
	field := func(name string, kind event.Kind, off, size uint32, says event.InMetrics) event.Field {
		return event.Field{Name: name, Kind: kind, Parent: event.NoParent, Off: off, Size: size, Ann: event.Annotations{Metric: &says}}
	}
	s := &event.Schema{Name: "calls", Single: true, Size: 48, Fields: []event.Field{
		field("proc.comm", event.String, 0, 8, event.InMetrics{Role: event.KeyRole}),
		field("sent.bytes", event.Uint, 8, 8, event.InMetrics{Role: event.CounterRole, Description: "bytes sent", Unit: "By"}),
		field("cwnd", event.Uint, 16, 8, event.InMetrics{Role: event.GaugeRole}),
		field("latency", event.Uint, 24, 24, event.InMetrics{Role: event.HistogramRole, Unit: "µs"}),
	}}
	s.Fields[3].Count = 6
	return s
}

type row struct {
	comm      string
	sent, win uint64
	slots     [6]uint32
}

func batchOf(s *event.Schema, rows ...row) *event.Batch {
	b := &event.Batch{}
	b.Reset(s)
	for _, r := range rows {
		rec := make([]byte, 8, 48)
		copy(rec, r.comm)
		rec = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(rec, r.sent), r.win)
		for _, n := range r.slots {
			rec = binary.LittleEndian.AppendUint32(rec, n)
		}
		b.Rows = append(b.Rows, rec)
	}
	return b
}

// serveSample returns an endpoint of the sample, with some rows and a counter of them.
func serveSample(t testing.TB, o metrics.Options, rows ...row) *Server {
	t.Helper()
	return serve(t, sample(), "calls", o, rows...)
}

// serve returns an endpoint of a data source with some rows; counter is the name of the counter of rows.
func serve(t testing.TB, schema *event.Schema, counter string, o metrics.Options, rows ...row) *Server {
	t.Helper()
	server, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	sink := metrics.New(annotation.SourceMetrics{CounterName: counter}, o)
	if _, err := sink.Bind(schema); err != nil {
		t.Fatal(err)
	}
	if err := sink.Write(batchOf(schema, rows...)); err != nil {
		t.Fatal(err)
	}
	server.Add("my-metrics", sink)
	return server
}

func get(t testing.TB, server *Server, path string) (status int, body string) {
	t.Helper()
	r, err := http.Get("http://" + server.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// own leaves out the lines about gizmo's process.
func own(body string) string {
	var lines []string
	for line := range strings.Lines(body) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

const wantText = `# HELP calls_total 
# TYPE calls_total counter
calls_total{SCOPE,proc_comm="a\"\\b"} 1
calls_total{SCOPE,proc_comm="cat"} 2
# HELP cwnd 
# TYPE cwnd gauge
cwnd{SCOPE,proc_comm="a\"\\b"} 0
cwnd{SCOPE,proc_comm="cat"} 12
# HELP latency 
# TYPE latency histogram
latency_bucket{SCOPE,proc_comm="cat",le="1"} 1
latency_bucket{SCOPE,proc_comm="cat",le="2"} 1
latency_bucket{SCOPE,proc_comm="cat",le="4"} 1
latency_bucket{SCOPE,proc_comm="cat",le="8"} 6
latency_bucket{SCOPE,proc_comm="cat",le="16"} 6
latency_bucket{SCOPE,proc_comm="cat",le="32"} 8
latency_bucket{SCOPE,proc_comm="cat",le="+Inf"} 8
latency_sum{SCOPE,proc_comm="cat"} 105
latency_count{SCOPE,proc_comm="cat"} 8
# HELP sent_bytes_total bytes sent
# TYPE sent_bytes_total counter
sent_bytes_total{SCOPE,proc_comm="a\"\\b"} 7
sent_bytes_total{SCOPE,proc_comm="cat"} 6
`

// What dashboards rely on: names, labels, types and values.
func TestText(t *testing.T) {
	t.Parallel()
	server := serveSample(t, metrics.Options{}, row{comm: "cat", sent: 2, win: 10, slots: [6]uint32{1, 0, 0, 3}}, row{comm: "a\"\\b", sent: 7},
		row{comm: "cat", sent: 4, win: 12, slots: [6]uint32{0, 0, 0, 2, 0, 2}})
	status, body := get(t, server, Path)
	var got []string
	for line := range strings.Lines(own(body)) {
		if isEmpty := strings.HasPrefix(line, "latency") && strings.Contains(line, `a\"`); !isEmpty {
			got = append(got, line)
		}
	}
	want := strings.ReplaceAll(wantText, "SCOPE", `otel_scope_name="my-metrics",otel_scope_schema_url="",otel_scope_version=""`)
	if text := strings.Join(got, ""); status != http.StatusOK || text != want {
		t.Errorf("status %d, got\n%s\nwant\n%s", status, text, want)
	}
	if !strings.Contains(body, "\ngo_goroutines ") || !strings.Contains(body, "\nprocess_resident_memory_bytes ") {
		t.Error("metrics of the process are missing")
	}
	if status, _ := get(t, server, "/"); status != http.StatusNotFound {
		t.Errorf("another path: status %d", status)
	}
}

// Bytes that are no text in a label, and more series than there is room for, do not keep the rest from the scraper.
func TestOddLabels(t *testing.T) {
	t.Parallel()
	server := serveSample(t, metrics.Options{MaxSeries: 1}, row{comm: "\xff\xfe", sent: 1}, row{comm: "x", sent: 2}, row{comm: "y", sent: 3})
	status, body := get(t, server, Path)
	for _, want := range []string{"proc_comm=\"\uFFFD\"} 1\n", "otel_metric_overflow=\"true\","} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, own(body))
		}
	}
}

// A sink that was removed is not shown any more, and one that was never bound shows nothing.
func TestRemove(t *testing.T) {
	t.Parallel()
	server := serveSample(t, metrics.Options{}, row{comm: "cat"})
	unbound := metrics.New(annotation.SourceMetrics{}, metrics.Options{})
	remove := server.Add("unbound", unbound)
	if status, body := get(t, server, Path); status != http.StatusOK || !strings.Contains(body, "calls_total{") || strings.Contains(body, "unbound") {
		t.Errorf("status %d: %s", status, own(body))
	}
	remove()
	if len(server.all.all) != 1 {
		t.Errorf("%d sinks", len(server.all.all))
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	server := serveSample(t, metrics.Options{})
	if _, err := Listen(server.Addr().String()); err == nil || !strings.Contains(err.Error(), "open the endpoint for metrics: listen tcp "+server.Addr().String()) {
		t.Errorf("error %v", err)
	}
}

// A scraper that sends half a request delays neither other scrapers nor Close.
func TestHangingScraper(t *testing.T) {
	t.Parallel()
	server := serveSample(t, metrics.Options{}, row{comm: "cat"})
	conn, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n", Path); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, server, Path); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	began := time.Now()
	if err := server.Close(); err != nil || time.Since(began) > 2*endTimeout {
		t.Errorf("closed after %v, %v", time.Since(began), err)
	}
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
		t.Error("the connection is open")
	}
}

// BenchmarkScrape asks for 10,000 series of a counter, and for those of all metrics of the sample: 120,000 lines with the buckets.
func BenchmarkScrape(b *testing.B) {
	var rows []row
	for i := range 10_000 {
		rows = append(rows, row{comm: fmt.Sprint(i), sent: 1})
	}
	counter := sample()
	counter.Fields = counter.Fields[:2]
	for name, schema := range map[string]*event.Schema{"counter": counter, "all": sample()} {
		b.Run(name, func(b *testing.B) {
			server := serve(b, schema, "", metrics.Options{}, rows...)
			for b.Loop() {
				if status, _ := get(b, server, Path); status != http.StatusOK {
					b.Fatal(status)
				}
			}
		})
	}
}
