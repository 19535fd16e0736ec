// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlp pushes metrics to a receiver of OpenTelemetry, over gRPC or HTTP.
package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

const (
	lastTime       = 5 * time.Second // for the last push of metrics
	lastTimeIfAway = time.Second     // if the pushes before it failed
)

// Exporter pushes metrics at an interval. A receiver that is away, or slow, holds up nothing else: of each source an exporter keeps at most
// two snapshots, and one request of all.
type Exporter struct {
	config Config
	log    *slog.Logger
	sender sender

	stop   chan struct{}   // closed: the loop is to end
	life   context.Context // done: requests are to end
	cancel context.CancelFunc
	begin  sync.Once
	ending sync.Once
	ended  error
	loop   sync.WaitGroup

	turn chan struct{} // full: somebody pushes, and has what follows for itself
	push pusher
	says reporter

	mu      sync.Mutex // guards what follows
	sources []*source
	counts  Counts
	closed  bool
	gaveUp  lastFailure
}

// lastFailure is a last push that failed.
type lastFailure struct {
	at  time.Time
	err error
}

// Counts are what an exporter did.
type Counts struct {
	Pushes uint64 // that a receiver took, whole or in part
	Failed uint64 // attempts that came to nothing
	// Points are the data points in requests that a receiver took, Rejected those of them that it said it did not want, and Dropped
	// those in requests that it refused for good.
	Points, Rejected, Dropped uint64
}

// New checks a configuration and reads its certificates. It connects to nothing. A nil logger is slog.Default().
func New(config Config, log *slog.Logger) (*Exporter, error) {
	fail := func(err error) (*Exporter, error) { return nil, fmt.Errorf("exporter %q: %w", config.Name, err) }
	to, problems := config.check()
	var errs []error
	for _, p := range problems {
		errs = append(errs, p.err)
	}
	if err := errors.Join(errs...); err != nil {
		return fail(err)
	}
	sender, err := newSender(&config, to)
	if err != nil {
		return fail(err)
	}
	e := &Exporter{config: config, log: cmp.Or(log, slog.Default()), sender: sender, stop: make(chan struct{}), turn: make(chan struct{}, 1)}
	e.log = e.log.With("exporter", config.Name, "endpoint", config.Endpoint)
	e.says.log = e.log
	e.life, e.cancel = context.WithCancel(context.Background())
	isDelta := config.Temporality == Delta
	e.push = pusher{sender: sender, encoder: newEncoder(resourceOf(&config), isDelta), timeout: config.Timeout, isDelta: isDelta}
	if config.GoMetrics {
		for _, r := range newGoMetrics() {
			e.Add(goScope, r)
		}
	}
	return e, nil
}

var _ metrics.Exporter = (*Exporter)(nil)

// resourceOf returns the attributes of this process.
func resourceOf(c *Config) map[string]string {
	all := map[string]string{"service.name": "gizmo"}
	if c.Version != "" {
		all["service.version"] = c.Version
	}
	if name, err := os.Hostname(); err == nil {
		all["host.name"] = name
	}
	maps.Copy(all, c.Resource)
	return all
}

// Start begins to push. The first push comes after the interval.
func (e *Exporter) Start() { e.begin.Do(func() { e.loop.Go(e.run) }) }

// Add pushes the metrics of a reader, which belong to a scope, from the next time on. The function that it returns pushes their last values,
// and ends that: within a few seconds, whatever the receiver does.
func (e *Exporter) Add(scope string, reader metrics.Reader) (remove func()) {
	s := &source{scope: scope, reader: reader, added: time.Now()}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.sources = append(e.sources, s)
	}
	return sync.OnceFunc(func() {
		if slices.Contains(e.all(), s) {
			_ = e.last(e.life, s) // it is in the log
		}
	})
}

func (e *Exporter) all() []*source {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.sources)
}

func (e *Exporter) forget(gone ...*source) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sources = slices.DeleteFunc(e.sources, func(s *source) bool { return slices.Contains(gone, s) })
}

// Counts returns what the exporter did so far.
func (e *Exporter) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts
}

// Close pushes the last values of what is not removed, and closes all connections: within a few seconds, or when ctx is done. The error says
// that the last values were not delivered. A further call returns what the first one has.
func (e *Exporter) Close(ctx context.Context) error {
	e.ending.Do(func() { e.ended = e.finish(ctx) })
	return e.ended
}

func (e *Exporter) finish(ctx context.Context) error {
	e.begin.Do(func() {})
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	close(e.stop)
	var err error
	if sources := e.all(); len(sources) > 0 || e.push.isDelta { // of a difference the rest may be left
		err = e.last(ctx, sources...)
	}
	e.cancel()
	e.loop.Wait()
	return errors.Join(err, e.sender.close())
}

// run pushes until the exporter is closed.
func (e *Exporter) run() {
	pace := pace{interval: e.config.Interval, due: time.Now()}
	timer := time.NewTimer(pace.next(time.Now(), nil))
	defer timer.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-timer.C:
		}
		select {
		case <-e.stop:
			return
		case e.turn <- struct{}{}:
		}
		did := e.push.push(e.life, e.all())
		if e.life.Err() != nil { // it was interrupted by the end
			<-e.turn
			return
		}
		e.count(did)
		e.says.report(did)
		<-e.turn
		timer.Reset(pace.next(time.Now(), did.refused))
	}
}

func (e *Exporter) count(did outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.Points += did.points
	e.counts.Rejected += did.rejected
	e.counts.Dropped += did.dropped
	switch {
	case did.refused != nil:
		e.counts.Failed++
	case did.requests > 0:
		e.counts.Pushes++
	}
}

// last pushes sources for the last time, and forgets them. When that has just failed for others, it does not try: a run with many sources ends
// as soon as one with few.
func (e *Exporter) last(ctx context.Context, sources ...*source) error {
	defer e.forget(sources...)
	if err := e.justFailed(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	var err error
	select {
	case e.turn <- struct{}{}:
		err = e.tryLast(ctx, sources)
		<-e.turn
	case <-ctx.Done():
		err = errors.New("an earlier push has no answer yet")
	}
	if err != nil {
		e.log.Warn("the last values of metrics are not delivered", "err", err)
		e.mu.Lock()
		e.gaveUp = lastFailure{time.Now(), err}
		e.mu.Unlock()
	}
	return err
}

func (e *Exporter) justFailed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.gaveUp.at) < lastTime {
		return e.gaveUp.err
	}
	return nil
}

// tryLast pushes the rest of an earlier push, and the last values. It tries again, unless the receiver has been away before.
func (e *Exporter) tryLast(ctx context.Context, sources []*source) error {
	wasAway := e.says.failed > 0
	if wasAway {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lastTimeIfAway)
		defer cancel()
	}
	for pause := firstPause / 4; ; pause *= 2 {
		isRest := e.push.round != nil
		did := e.push.push(ctx, sources)
		e.count(did)
		if did.refused == nil {
			e.says.report(did)
		}
		switch {
		case did.refused != nil && did.refused.again:
			wait := max(jitter(pause), did.refused.pause)
			if until, _ := ctx.Deadline(); wasAway || time.Until(until) < wait {
				return did.refused
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return did.refused
			}
		case isRest:
		case did.refused != nil:
			return did.refused
		default:
			return nil
		}
	}
}
