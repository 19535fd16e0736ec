// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlpreceiver

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
	"github.com/gizmo-ebpf/gizmo/sink/metrics/otlp"
)

// sample is a data source with a label, a counter, a gauge and a histogram.
func sample() *event.Schema {
	s := &event.Schema{Name: "calls", Single: true}
	add := func(name string, kind event.Kind, size uint32, says event.InMetrics) {
		s.Fields = append(s.Fields, event.Field{Name: name, Kind: kind, Parent: event.NoParent, Off: s.Size, Size: size, Ann: event.Annotations{Metric: &says}})
		s.Size += size
	}
	add("pid", event.Uint, 8, event.InMetrics{Role: event.KeyRole})
	add("sent", event.Uint, 8, event.InMetrics{Role: event.CounterRole, Unit: "By"})
	add("cwnd", event.Uint, 8, event.InMetrics{Role: event.GaugeRole})
	add("latency", event.Uint, 27*4, event.InMetrics{Role: event.HistogramRole, Unit: "µs"})
	s.Fields[3].Count = 27
	return s
}

type row struct {
	pid, sent, win uint64
	slots          [27]uint32
}

func newSink(t testing.TB) *metrics.Sink {
	t.Helper()
	sink := metrics.New(annotation.SourceMetrics{}, metrics.Options{})
	if _, err := sink.Bind(sample()); err != nil {
		t.Fatal(err)
	}
	return sink
}

func write(t testing.TB, sink *metrics.Sink, rows ...row) {
	t.Helper()
	b := &event.Batch{}
	b.Reset(sample())
	for _, r := range rows {
		var rec []byte
		for _, n := range []uint64{r.pid, r.sent, r.win} {
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

// pipeline is what comes behind the receiver: it keeps the metrics.
type pipeline struct {
	mu     sync.Mutex
	refuse func(n int) error // the request n, from 1 on; nil: none
	asked  []time.Time
	got    []pmetric.Metrics
}

func (*pipeline) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (p *pipeline) ConsumeMetrics(_ context.Context, m pmetric.Metrics) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, time.Now())
	if p.refuse != nil {
		if err := p.refuse(len(p.asked)); err != nil {
			return err
		}
	}
	copied := pmetric.NewMetrics()
	m.CopyTo(copied)
	p.got = append(p.got, copied)
	return nil
}

func (p *pipeline) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

// freeAddress is one where nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve starts the collector's receiver, with what the user of a collector would have in its configuration.
func serve(t testing.TB, p *pipeline, protocol, address string, tls map[string]any) {
	t.Helper()
	settings := map[string]any{"endpoint": address}
	if tls != nil {
		settings["tls"] = tls
	}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{strings.TrimPrefix(protocol, "otlp-"): settings}}).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	var r receiver.Metrics
	r, err := factory.CreateMetrics(context.Background(), receivertest.NewNopSettings(factory.Type()), config, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Shutdown(context.Background()) })
}

func start(t testing.TB, c otlp.Config, sink metrics.Reader) *otlp.Exporter {
	t.Helper()
	c.Interval = 100 * time.Millisecond
	e, err := otlp.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	e.Add("my-metrics", sink)
	e.Start()
	return e
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// describe lists the data points of a request.
func describe(m pmetric.Metrics) (all []string) {
	for _, r := range m.ResourceMetrics().All() {
		for _, scope := range r.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				head := strings.Join([]string{scope.Scope().Name(), metric.Name(), metric.Unit(), metric.Type().String()}, " ")
				numbers := func(points pmetric.NumberDataPointSlice) {
					for _, p := range points.All() {
						all = append(all, fmt.Sprintf("%s %v %d", head, p.Attributes().AsRaw(), p.IntValue()))
					}
				}
				switch metric.Type() {
				case pmetric.MetricTypeSum:
					head += fmt.Sprintf(" %v %v", metric.Sum().AggregationTemporality(), metric.Sum().IsMonotonic())
					numbers(metric.Sum().DataPoints())
				case pmetric.MetricTypeGauge:
					numbers(metric.Gauge().DataPoints())
				case pmetric.MetricTypeHistogram:
					for _, p := range metric.Histogram().DataPoints().All() {
						all = append(all, fmt.Sprintf("%s %v %v count %d sum %v %v %v", head, metric.Histogram().AggregationTemporality(), p.Attributes().AsRaw(),
							p.Count(), p.Sum(), p.ExplicitBounds().AsRaw()[:4], p.BucketCounts().AsRaw()[:5]))
					}
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

func each(t *testing.T, test func(t *testing.T, protocol, temporality string)) {
	for _, protocol := range []string{otlp.GRPC, otlp.HTTP} {
		for _, temporality := range []string{otlp.Cumulative, otlp.Delta} {
			t.Run(protocol+", "+temporality, func(t *testing.T) {
				t.Parallel()
				test(t, protocol, temporality)
			})
		}
	}
}

// The collector gets exact values.
func TestValues(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, protocol, temporality string) {
		for _, compress := range []bool{false, true} {
			p, address := new(pipeline), freeAddress(t)
			serve(t, p, protocol, address, nil)
			sink := newSink(t)
			write(t, sink, row{pid: 7, sent: 3, win: 5, slots: [27]uint32{1, 0, 0, 4}})
			e := start(t, otlp.Config{Exporter: protocol, Endpoint: address, Insecure: true, Temporality: temporality, Gzip: compress, Version: "v9"}, sink)
			eventually(t, "a push", func() bool { return p.taken() > 0 })
			write(t, sink, row{pid: 7, sent: 1 << 62, win: 6, slots: [27]uint32{0, 2}})
			if err := e.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			checkValues(t, p, temporality)
		}
	})
}

func checkValues(t *testing.T, p *pipeline, temporality string) {
	t.Helper()
	word, total, histogram := "Cumulative", "4611686018427387907", "count 7 sum 37 [1 2 4 8] [1 2 0 4 0]"
	if temporality == otlp.Delta {
		word, total, histogram = "Delta", "4611686018427387904", "count 2 sum 4 [1 2 4 8] [0 2 0 0 0]"
	}
	first, last := describe(p.got[0]), describe(p.got[len(p.got)-1])
	for i, want := range [][]string{
		{"my-metrics cwnd  Gauge map[pid:7] 5", "my-metrics latency µs Histogram " + word + " map[pid:7] count 5 sum 33 [1 2 4 8] [1 0 0 4 0]", "my-metrics sent By Sum " + word + " true map[pid:7] 3"},
		{"my-metrics cwnd  Gauge map[pid:7] 6", "my-metrics latency µs Histogram " + word + " map[pid:7] " + histogram, "my-metrics sent By Sum " + word + " true map[pid:7] " + total},
	} {
		if got := [][]string{first, last}[i]; !slices.Equal(got, want) {
			t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
	resource := p.got[0].ResourceMetrics().At(0).Resource().Attributes()
	for name, want := range map[string]string{"service.name": "gizmo", "service.version": "v9"} {
		if got, ok := resource.Get(name); !ok || got.Str() != want {
			t.Errorf("%s is %v", name, resource.AsRaw()[name])
		}
	}
	if host, ok := resource.Get("host.name"); !ok || host.Str() == "" {
		t.Error("no host.name")
	}
}

// The collector may encrypt, and ask for a certificate.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t)
	each(t, func(t *testing.T, protocol, temporality string) {
		p, address := new(pipeline), freeAddress(t)
		serve(t, p, protocol, address, map[string]any{"cert_file": cert, "key_file": key, "client_ca_file": cert})
		sink := newSink(t)
		write(t, sink, row{pid: 7, sent: 3})
		e := start(t, otlp.Config{Exporter: protocol, Endpoint: address, CA: cert, Cert: cert, Key: key, Temporality: temporality}, sink)
		eventually(t, "a push", func() bool { return p.taken() > 0 })
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A collector that comes up later gets all, and one that has trouble says when to come back: with 429 or 503 and Retry-After, or RetryInfo.
func TestTrouble(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.ResourceExhausted, codes.Unavailable} {
		t.Run(code.String(), func(t *testing.T) {
			each(t, func(t *testing.T, protocol, temporality string) {
				busy, err := status.New(code, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)})
				if err != nil {
					t.Fatal(err)
				}
				p := &pipeline{refuse: func(n int) error {
					if n == 1 {
						return busy.Err()
					}
					return nil
				}}
				address := freeAddress(t)
				sink := newSink(t)
				write(t, sink, row{pid: 7, sent: 3})
				e := start(t, otlp.Config{Exporter: protocol, Endpoint: address, Insecure: true, Temporality: temporality}, sink)
				eventually(t, "a failure", func() bool { return e.Counts().Failed > 0 })
				serve(t, p, protocol, address, nil)
				eventually(t, "a push", func() bool { return p.taken() > 0 })
				if err := e.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				if got := describe(p.got[0]); !slices.Contains(got, "my-metrics cwnd  Gauge map[pid:7] 0") || !strings.HasSuffix(got[2], " map[pid:7] 3") {
					t.Errorf("got %q", got)
				}
				if pause := p.asked[1].Sub(p.asked[0]); pause < 2*time.Second {
					t.Errorf("came back after %v", pause)
				}
			})
		})
	}
}

// 10,000 series fit into requests that the collector takes.
func TestManySeries(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, protocol, temporality string) {
		const count = 10_000
		p, address := new(pipeline), freeAddress(t)
		serve(t, p, protocol, address, nil)
		sink := newSink(t)
		e, err := otlp.New(otlp.Config{Exporter: protocol, Endpoint: address, Insecure: true, Temporality: temporality, Gzip: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		remove := e.Add("my-metrics", sink)
		for i := range uint64(count) {
			write(t, sink, row{pid: i, sent: i, slots: [27]uint32{uint32(i)}})
		}
		remove()
		if err := e.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		size := 0
		for _, m := range p.got {
			size += new(pmetric.ProtoMarshaler).MetricsSize(m)
			for _, text := range describe(m) {
				seen[text] = true
			}
		}
		for i := range count {
			want := fmt.Sprintf("my-metrics sent By Sum %s true map[pid:%d] %d", strings.ToUpper(temporality[:1])+temporality[1:], i, i)
			if !seen[want] {
				t.Fatalf("missing: %s", want)
			}
		}
		if len(seen) != 3*count {
			t.Errorf("%d data points", len(seen))
		}
		t.Logf("%d requests, %d bytes", len(p.got), size)
	})
}
