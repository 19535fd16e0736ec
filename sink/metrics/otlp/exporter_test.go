// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	messages "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// played is a sender that answers as a test wants, and keeps what it took.
type played struct {
	t      testing.TB
	answer func(ctx context.Context, n int) ([]byte, *refusal) // of the request n, from 1 on; nil: it takes all

	mu           sync.Mutex
	times        []time.Time
	took         []*messages.MetricsData
	all          [][]byte
	disconnected int
	closed       bool
}

func (p *played) send(ctx context.Context, request []byte) ([]byte, *refusal) {
	p.mu.Lock()
	p.times = append(p.times, time.Now())
	p.all = append(p.all, bytes.Clone(request))
	n := len(p.times)
	p.mu.Unlock()
	if p.answer != nil {
		if answer, refused := p.answer(ctx, n); answer != nil || refused != nil {
			return answer, refused
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = append(p.took, read(p.t, request))
	return nil, nil
}

func (p *played) disconnect()  { p.disconnected++ }
func (p *played) close() error { p.closed = true; return nil }

// sums adds up the data points of a counter, by their labels.
func (p *played) sums(name string) map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	sums := make(map[string]int64)
	for _, data := range p.took {
		for _, scope := range data.GetResourceMetrics()[0].GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				for _, point := range m.GetSum().GetDataPoints() {
					if m.GetName() == name {
						sums[attributesOf(point.GetAttributes())] += point.GetAsInt()
					}
				}
			}
		}
	}
	return sums
}

// logged are the lines of a log.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(string(line)))
	return len(line), nil
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if slices.Contains([]string{slog.TimeKey, slog.LevelKey, "exporter", "endpoint"}, a.Key) {
			return slog.Attr{}
		}
		return a
	}}))
}

func (l *logged) check(t *testing.T, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, want) {
		t.Errorf("the log has\n\t%s\nwant\n\t%s", strings.Join(l.lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// newPlayed returns an exporter whose sender is played.
func newPlayed(t testing.TB, p *played, config Config) (*Exporter, *logged) {
	t.Helper()
	p.t = t
	config.Exporter, config.Endpoint = GRPC, "nowhere:1"
	log := new(logged)
	e, err := New(config, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	e.sender, e.push.sender = p, p
	return e, log
}

func again(text string, pause time.Duration) *refusal {
	return &refusal{err: errors.New(text), again: true, pause: pause}
}

// What an exporter does while a receiver is away: it tries again after longer and longer pauses, and tells the beginning and the end.
func TestAway(t *testing.T) {
	t.Parallel()
	for _, temporality := range []string{Cumulative, Delta} {
		t.Run(temporality, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testAway(t, temporality) }) })
	}
}

func testAway(t *testing.T, temporality string) {
	p := &played{answer: func(_ context.Context, n int) ([]byte, *refusal) {
		if n <= 8 {
			return nil, again("away", 0)
		}
		return nil, nil
	}}
	e, log := newPlayed(t, p, Config{Temporality: temporality, Interval: 10 * time.Second})
	sink := newSink(t, metrics.Options{})
	remove := e.Add("m", sink)
	e.Start()
	began := time.Now()
	write(t, sink, row{comm: "a"})
	time.Sleep(11 * time.Second)
	write(t, sink, row{comm: "a"})
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	pause := 10 * time.Second
	for i := range 9 {
		since := began
		if i > 0 {
			since = p.times[i-1]
			pause = min(time.Second<<(i-1), mostPause)
		}
		if got := p.times[i].Sub(since); i == 0 && got != pause || got < pause/2 || got > pause*3/2 {
			t.Errorf("attempt %d came after %v, want about %v", i+1, got, pause)
		}
	}
	log.check(t, `msg="metrics cannot be pushed; gizmo goes on trying" err=away`, `msg="metrics are pushed again" failed=8`)
	if e.Counts().Failed != 8 || p.disconnected != 8 {
		t.Errorf("counts %+v; disconnected %d times", e.Counts(), p.disconnected)
	}
	write(t, sink, row{comm: "a"})
	remove()
	want := map[string]int64{"proc.comm=a,pid=0": 3}
	if got := p.sums("calls"); temporality == Delta && fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the differences add up to %v, want %v", got, want)
	}
	last := p.took[len(p.took)-1]
	if got := describe(last); temporality == Cumulative && !slices.Contains(got, "m/calls sum CUMULATIVE monotonic=true {proc.comm=a,pid=0} int 3") {
		t.Errorf("the last values are %q", got)
	}
	if temporality == Delta {
		for i := 1; i < 8; i++ {
			if !bytes.Equal(p.all[i], p.all[0]) {
				t.Errorf("attempt %d sends another difference than the first", i+1)
			}
		}
	}
	sent := len(p.times)
	if err := e.Close(t.Context()); err != nil || !p.closed || len(p.times) != sent {
		t.Errorf("closed: %v, %v; %d pushes after the last one", p.closed, err, len(p.times)-sent)
	}
}

// A receiver that is in trouble says when to come back.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &played{answer: func(_ context.Context, n int) ([]byte, *refusal) {
			if n == 1 {
				return nil, again("busy", 7*time.Minute)
			}
			return nil, nil
		}}
		e, _ := newPlayed(t, p, Config{})
		defer e.Close(t.Context())
		sink := newSink(t, metrics.Options{})
		write(t, sink, row{})
		e.Add("m", sink)
		e.Start()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := p.times[1].Sub(p.times[0]); got != 7*time.Minute {
			t.Errorf("came back after %v", got)
		}
		if got := p.times[2].Sub(p.times[1]); got != time.Minute {
			t.Errorf("after the next %v the receiver got the next push", got)
		}
	})
}

// What a receiver refuses for good is not sent again, and is counted. The next push comes at its time.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, temporality := range []string{Cumulative, Delta} {
		synctest.Test(t, func(t *testing.T) {
			p := &played{answer: func(_ context.Context, n int) ([]byte, *refusal) {
				if n == 1 {
					return nil, &refusal{err: errors.New("bad")}
				}
				return nil, nil
			}}
			e, log := newPlayed(t, p, Config{Temporality: temporality})
			sink := newSink(t, metrics.Options{})
			write(t, sink, row{sent: 1})
			e.Add("m", sink)
			e.Start()
			time.Sleep(90 * time.Second)
			write(t, sink, row{sent: 2})
			time.Sleep(time.Minute)
			synctest.Wait()
			log.check(t, `msg="metrics cannot be pushed; gizmo goes on trying" err=bad`, `msg="metrics are pushed again" failed=1`)
			if got := p.times[1].Sub(p.times[0]); got != time.Minute {
				t.Errorf("the next came after %v", got)
			}
			if want := (Counts{Pushes: 1, Failed: 1, Points: 6, Dropped: 6}); e.Counts() != want && temporality == Cumulative {
				t.Errorf("counts %+v, want %+v", e.Counts(), want)
			}
			if got, want := p.sums("sent.bytes")["proc.comm=,pid=0"], map[string]int64{Cumulative: 3, Delta: 2}[temporality]; got != want {
				t.Errorf("%s: got %d, want %d", temporality, got, want)
			}
			_ = e.Close(t.Context())
		})
	}
}

// partly makes an ExportMetricsServiceResponse with a partial success.
func partly(rejected byte, why string) []byte {
	inner := append([]byte{1 << 3, rejected, 2<<3 | 2, byte(len(why))}, why...)
	return append([]byte{1<<3 | 2, byte(len(inner))}, inner...)
}

// A receiver that takes a part of a push gets none of it again. The log tells the beginning and the end.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &played{answer: func(_ context.Context, n int) ([]byte, *refusal) {
			if n <= 3 {
				return partly(2, "odd \x1b"), nil
			}
			return nil, nil
		}}
		e, log := newPlayed(t, p, Config{})
		sink := newSink(t, metrics.Options{})
		write(t, sink, row{sent: 1})
		e.Add("m", sink)
		e.Start()
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		log.check(t, `msg="the receiver of metrics does not take all of them" rejected=2 reason="odd \\x1b"`,
			`msg="the receiver of metrics takes all of them again" rejected=6`)
		if want := (Counts{Pushes: 5, Points: 30, Rejected: 6}); e.Counts() != want {
			t.Errorf("counts %+v, want %+v", e.Counts(), want)
		}
		_ = e.Close(t.Context())
	})
}

// Differences of many series, of which requests fail again and again, in any place, add up to the exact values.
func TestDeltaAddsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &played{answer: func(_ context.Context, n int) ([]byte, *refusal) {
			if n%3 != 0 {
				return nil, again("busy", 0)
			}
			return nil, nil
		}}
		e, _ := newPlayed(t, p, Config{Temporality: Delta, Interval: time.Second})
		const series = 20_000
		sink, more := counters(t, series)
		remove := e.Add("m", sink)
		e.Start()
		for range 6 {
			time.Sleep(10 * time.Second)
			more()
		}
		time.Sleep(2 * time.Minute)
		p.answer = nil
		remove()
		sums := p.sums("sent.bytes")
		for labels, sum := range sums {
			if sum != 35 {
				t.Fatalf("%s: %d", labels, sum)
			}
		}
		if len(sums) != series || len(p.took) < 4 {
			t.Errorf("%d series in %d requests", len(sums), len(p.took))
		}
		_ = e.Close(t.Context())
	})
}

// A short run's numbers arrive, also without Start, and also if the receiver refuses them at first.
func TestShortRun(t *testing.T) {
	t.Parallel()
	for _, failures := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			p := &played{answer: func(_ context.Context, n int) ([]byte, *refusal) {
				if n <= failures {
					return nil, again("busy", 0)
				}
				return nil, nil
			}}
			e, log := newPlayed(t, p, Config{})
			sink, other := newSink(t, metrics.Options{}), newSink(t, metrics.Options{})
			removeOther := e.Add("other", other)
			remove := e.Add("m", sink)
			write(t, sink, row{sent: 3})
			write(t, other, row{sent: 4})
			remove()
			remove()
			if got := p.sums("sent.bytes")["proc.comm=,pid=0"]; got != 3 || len(p.took) != 1 {
				t.Errorf("got %d in %d requests", got, len(p.took))
			}
			if err := e.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if got := p.sums("sent.bytes")["proc.comm=,pid=0"]; got != 7 || len(p.took) != 2 {
				t.Errorf("closed: got %d in %d requests", got, len(p.took))
			}
			removeOther()
			e.Add("late", sink)()
			if err := e.Close(t.Context()); err != nil || len(p.took) != 2 {
				t.Errorf("closed again: %v, %d requests", err, len(p.took))
			}
			log.check(t)
		})
	}
}

// The end waits for a receiver that does not answer, or that is not there, for a few seconds at most. It waits less if it was away before.
func TestEndIsBounded(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context, _ int) ([]byte, *refusal) {
		<-ctx.Done()
		return nil, &refusal{err: ctx.Err(), again: true}
	}
	refuse := func(context.Context, int) ([]byte, *refusal) { return nil, again("refused", 0) }
	for _, tt := range []struct {
		what   string
		answer func(context.Context, int) ([]byte, *refusal)
		before time.Duration // the exporter runs
		most   time.Duration
		err    string
	}{
		{"hangs", hang, 0, lastTime, "context deadline exceeded"},
		{"refuses", refuse, 0, lastTime, "refused"},
		{"hangs for long", hang, time.Minute + defaultTimeout + time.Nanosecond, lastTimeIfAway, "context deadline exceeded"},
		{"hangs since now", hang, time.Minute + time.Second, lastTime, "an earlier push has no answer yet"},
		{"refuses for long", refuse, 10 * time.Minute, 0, "refused"},
	} {
		for _, temporality := range []string{Cumulative, Delta} {
			t.Run(tt.what+", "+temporality, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, log := newPlayed(t, &played{answer: tt.answer}, Config{Temporality: temporality})
					sink := newSink(t, metrics.Options{})
					write(t, sink, row{})
					e.Add("m", sink)
					e.Start()
					time.Sleep(tt.before)
					began := time.Now()
					err := e.Close(context.Background())
					if err == nil || err.Error() != tt.err || time.Since(began) > tt.most {
						t.Errorf("closed after %v: %v", time.Since(began), err)
					}
					if n := len(log.lines); n == 0 || !strings.HasPrefix(log.lines[n-1], `msg="the last values of metrics are not delivered" err=`) {
						t.Errorf("the log has %q", log.lines)
					}
				})
			})
		}
	}
}

// A run with many data sources does not wait for each of them.
func TestEndOfManyIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		isAway := true
		p := &played{answer: func(ctx context.Context, _ int) ([]byte, *refusal) {
			if !isAway {
				return nil, nil
			}
			<-ctx.Done()
			return nil, &refusal{err: ctx.Err(), again: true}
		}}
		e, log := newPlayed(t, p, Config{})
		add := func() (remove func()) {
			sink := newSink(t, metrics.Options{})
			write(t, sink, row{})
			return e.Add("m", sink)
		}
		var removes []func()
		for range 10 {
			removes = append(removes, add())
		}
		began := time.Now()
		for _, remove := range removes {
			remove()
		}
		if took := time.Since(began); took > lastTime {
			t.Errorf("it took %v", took)
		}
		log.check(t, `msg="the last values of metrics are not delivered" err="context deadline exceeded"`)
		// The next run, when the receiver has come back.
		time.Sleep(lastTime)
		isAway = false
		add()()
		if len(p.took) != 1 {
			t.Errorf("%d requests", len(p.took))
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The metrics of the Go runtime have the names of OpenTelemetry's conventions.
func TestGoMetrics(t *testing.T) {
	t.Parallel()
	p := &played{}
	e, _ := newPlayed(t, p, Config{GoMetrics: true})
	if err := e.Close(t.Context()); err != nil || len(p.took) != 1 {
		t.Fatalf("%d requests, %v", len(p.took), err)
	}
	var got []string
	for _, line := range describe(p.took[0]) {
		head, value, _ := strings.Cut(line, " int ")
		if value == "0" || strings.HasPrefix(value, "-") || value == "" {
			t.Errorf("%s is %q", head, value)
		}
		got = append(got, head)
	}
	compare(t, got, []string{
		"go.runtime/go.memory.used gauge {go.memory.type=stack}", "go.runtime/go.memory.used gauge {go.memory.type=other}",
		"go.runtime/go.memory.allocated sum CUMULATIVE monotonic=true {}", "go.runtime/go.memory.allocations sum CUMULATIVE monotonic=true {}",
		"go.runtime/go.memory.gc.goal gauge {}", "go.runtime/go.memory.limit gauge {}", "go.runtime/go.goroutine.count gauge {}",
		"go.runtime/go.processor.limit gauge {}", "go.runtime/go.config.gogc gauge {}",
	})
}
