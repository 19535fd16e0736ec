// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gizmo-ebpf/gizmo/internal/grpcclient"
)

// longestPause is the longest time that a receiver can ask gizmo to wait.
const longestPause = time.Hour

// refusal is a push that failed.
type refusal struct {
	err error
	// again says that the same request may succeed later; otherwise it never will.
	again bool
	// pause is how long the receiver wants gizmo to wait; 0: it does not say.
	pause time.Duration
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// The codes of gRPC after which OTLP says that a client should try again. After RESOURCE_EXHAUSTED it should if the server says when.
const (
	codeCanceled          = 1
	codeDeadlineExceeded  = 4
	codeResourceExhausted = 8
	codeAborted           = 10
	codeOutOfRange        = 11
	codeUnavailable       = 14
	codeDataLoss          = 15
)

// refusedByGRPC finds out what an error of a call means. What did not reach a receiver may do so later.
func refusedByGRPC(err error) *refusal {
	var status *grpcclient.StatusError
	var other *grpcclient.NotGRPCError
	switch {
	case errors.As(err, &other):
		return &refusal{err: err, again: retryableStatus(other.HTTPStatus)} // a proxy may have answered
	case !errors.As(err, &status):
		return &refusal{err: err, again: true}
	}
	r := &refusal{err: err}
	pause, says := retryDelay(status.Details)
	switch status.Code {
	case codeCanceled, codeDeadlineExceeded, codeAborted, codeOutOfRange, codeUnavailable, codeDataLoss:
		r.again = true
	case codeResourceExhausted:
		r.again = says
	}
	r.pause = pause
	return r
}

// retryableStatus reports whether OTLP says that a client should try again after this status of HTTP.
func retryableStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// refusedByHTTP describes an answer other than 200.
func refusedByHTTP(status int, header http.Header, body []byte, now time.Time) *refusal {
	said := string(body)
	if header.Get("Content-Type") == protobuf {
		said = string(bytesIn(body, 2)) // google.rpc.Status.message
	}
	r := &refusal{err: fmt.Errorf("HTTP status %d", status), again: retryableStatus(status)}
	if said != "" {
		r.err = fmt.Errorf("%w: %s", r.err, said)
	}
	if r.again {
		r.pause = retryAfter(header.Get("Retry-After"), now)
	}
	return r
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestPause)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestPause)
}

// retryDelay returns the delay of the RetryInfo in a google.rpc.Status, and whether there is one.
func retryDelay(status []byte) (time.Duration, bool) {
	const inDetails, inTypeURL, inValue, inDelay, inSeconds, inNanos = 3, 1, 2, 1, 1, 2
	for field, detail := range fields(status) {
		if field != inDetails || string(bytesIn(detail.bytes, inTypeURL)) != "type.googleapis.com/google.rpc.RetryInfo" {
			continue
		}
		delay := bytesIn(bytesIn(detail.bytes, inValue), inDelay)
		seconds, nanos := int64(numberIn(delay, inSeconds)), int64(int32(numberIn(delay, inNanos)))
		seconds = min(max(seconds, 0), int64(longestPause/time.Second))
		return min(time.Duration(seconds)*time.Second+time.Duration(max(nanos, 0)), longestPause), true
	}
	return 0, false
}

// partialSuccess returns how many data points a receiver did not take, and why, from an ExportMetricsServiceResponse.
func partialSuccess(answer []byte) (rejected uint64, why string) {
	const inPartial, inRejected, inMessage = 1, 1, 2
	partial := bytesIn(answer, inPartial)
	return uint64(max(int64(numberIn(partial, inRejected)), 0)), string(bytesIn(partial, inMessage))
}

// value is that of a field of a message: a number, or bytes.
type value struct {
	number uint64
	bytes  []byte
}

// fields yields the numbers and bytes in a message, up to where it is no message.
func fields(message []byte) func(yield func(protowire.Number, value) bool) {
	return func(yield func(protowire.Number, value) bool) {
		for len(message) > 0 {
			field, kind, n := protowire.ConsumeTag(message)
			if n < 0 {
				return
			}
			message = message[n:]
			var v value
			switch kind {
			case protowire.VarintType:
				v.number, n = protowire.ConsumeVarint(message)
			case protowire.BytesType:
				v.bytes, n = protowire.ConsumeBytes(message)
			default:
				n = protowire.ConsumeFieldValue(field, kind, message)
			}
			if n < 0 || !yield(field, v) {
				return
			}
			message = message[n:]
		}
	}
}

func bytesIn(message []byte, field protowire.Number) (found []byte) {
	for f, v := range fields(message) {
		if f == field {
			found = v.bytes
		}
	}
	return found
}

func numberIn(message []byte, field protowire.Number) (found uint64) {
	for f, v := range fields(message) {
		if f == field {
			found = v.number
		}
	}
	return found
}
