// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"errors"
	"io"
	"net/http/httptrace"
	"sync"
	"time"
)

var errLost = errors.New("the runtime closed the connection")

// hold calls check, which connects, and then ready. It waits until the connection is lost or ctx is done, and returns the
// reason.
func (c *grpcClient) hold(ctx context.Context, check func(context.Context) error, ready func()) error {
	lost := c.Lost()
	if err := check(ctx); err != nil {
		return err
	}
	ready()
	select {
	case <-ctx.Done():
	case <-lost:
	}
	return c.Explain(ctx, errLost)
}

// grpcWatch is a call whose answers have no end.
type grpcWatch struct {
	method  method
	request []byte
	// confirm returns when the server has begun to work on the call: the server itself does not say so.
	confirm func(context.Context) error
	// ready is called after that.
	ready func()
	// got is called for each answer, including those before ready.
	got func(message []byte) error
	// later is called once, a second after ready, unless it is nil.
	later func(context.Context) error
}

// lateness is the time between ready and later. No server takes that long to begin with a call that it has received.
const lateness = time.Second

// watch makes a call whose answers have no end. It returns the reason for its end: that ctx is done, that the connection was
// lost, or an error of one of the functions. It calls these one after the other, except for confirm. It returns nil if
// the server ends the answers before the first one.
func (c *grpcClient) watch(ctx context.Context, w grpcWatch) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	answers, confirmed := c.begin(ctx, &w, &running)
	var later <-chan time.Time
	for first := true; ; {
		var err error
		select {
		case <-ctx.Done():
			return c.Explain(ctx, nil)
		case err = <-confirmed:
			if err == nil {
				w.ready()
			}
			if w.later != nil {
				later = time.After(lateness)
			}
		case <-later:
			err = w.later(ctx)
		case a, more := <-answers:
			switch {
			case !more:
				return c.Explain(ctx, errLost)
			case a.err == io.EOF && first:
				return nil
			case a.err == io.EOF:
				err = c.Explain(ctx, errLost)
			case a.err != nil:
				err = a.err
			default:
				err = w.got(a.message)
			}
			first = false
		}
		if err != nil {
			return err
		}
	}
}

// grpcAnswer is an answer, or the error that ends the answers.
type grpcAnswer struct {
	message []byte
	err     error
}

// begin makes the call and confirms it, each in a goroutine.
func (c *grpcClient) begin(ctx context.Context, w *grpcWatch, running *sync.WaitGroup) (<-chan grpcAnswer, <-chan error) {
	sent, answers, confirmed := make(chan struct{}), make(chan grpcAnswer), make(chan error, 1)
	running.Go(func() {
		defer close(answers)
		c.follow(ctx, w.method, w.request, sent, func(message []byte, err error) {
			select {
			case answers <- grpcAnswer{message, err}:
			case <-ctx.Done():
			}
		})
	})
	running.Go(func() {
		select {
		case <-sent:
			confirmed <- w.confirm(ctx)
		case <-ctx.Done():
		}
	})
	return answers, confirmed
}

// follow makes a call and calls got for each answer, and for the error that ends the answers. It closes sent when it has
// sent the request.
func (c *grpcClient) follow(ctx context.Context, m method, request []byte, sent chan struct{}, got func([]byte, error)) {
	tell := sync.OnceFunc(func() { close(sent) }) // the transport may send the request again
	trace := httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { tell() }}
	stream, err := c.open(httptrace.WithClientTrace(ctx, &trace), m, request, maxObject)
	if err != nil {
		got(nil, err)
		return
	}
	defer stream.Close()
	for err == nil {
		var message []byte
		message, err = stream.Next()
		got(message, err)
	}
}
