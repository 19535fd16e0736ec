// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package grpcclient

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Stream is the answers to a call.
type Stream struct {
	ctx    context.Context
	client *Client
	answer *http.Response
	limit  int
	gzip   bool // the request is compressed, so the answer may be
}

// Close ends the call.
func (s *Stream) Close() { _ = s.answer.Body.Close() }

// Next returns the next message, which the caller may keep, and io.EOF after the last one.
func (s *Stream) Next() ([]byte, error) {
	message, err := s.read()
	if err == io.EOF {
		err = s.status()
	}
	if err != nil && err != io.EOF {
		return nil, s.client.Explain(s.ctx, err)
	}
	return message, err
}

func (s *Stream) read() ([]byte, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(s.answer.Body, head[:]); err != nil {
		return nil, err
	}
	isCompressed := head[0] == 1
	if isCompressed && !(s.gzip && s.answer.Header.Get("Grpc-Encoding") == "gzip") || head[0] > 1 {
		return nil, errors.New("the answer is compressed, which gizmo did not ask for")
	}
	length := binary.BigEndian.Uint32(head[1:])
	if int64(length) > int64(s.limit) {
		return nil, fmt.Errorf("an answer of %d bytes, more than %d", length, s.limit)
	}
	message, err := readGrowing(s.answer.Body, int(length))
	if err != nil || !isCompressed {
		return message, err
	}
	return expand(message, s.limit)
}

// expand returns a message that is compressed. It may have at most limit bytes then.
func expand(message []byte, limit int) ([]byte, error) {
	in, err := gzip.NewReader(bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("a compressed answer: %w", err) // never io.EOF itself, which is the end of the answers
	}
	expanded, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err == nil && len(expanded) > limit {
		err = fmt.Errorf("a compressed answer of more than %d bytes", limit)
	}
	return expanded, err
}

// readGrowing reads a number of bytes. Its buffer grows with the bytes that arrive: a server can announce many and send none.
func readGrowing(in io.Reader, length int) ([]byte, error) {
	const least = 16 << 10
	message := make([]byte, 0, min(length, least))
	for len(message) < length {
		if len(message) == cap(message) {
			message = append(make([]byte, 0, min(length, 2*cap(message))), message...)
		}
		n, err := io.ReadFull(in, message[len(message):cap(message)])
		message = message[:len(message)+n]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return message, nil
}

// status returns how a call ended; io.EOF for success. If a call fails at once, its status is in the header.
func (s *Stream) status() error {
	from := s.answer.Trailer
	if from.Get("Grpc-Status") == "" {
		from = s.answer.Header
	}
	code, err := strconv.ParseUint(from.Get("Grpc-Status"), 10, 16)
	if err != nil {
		return errors.New("the answer ends without a status")
	}
	if code == 0 {
		return io.EOF
	}
	text, err := url.PathUnescape(from.Get("Grpc-Message"))
	if err != nil {
		text = from.Get("Grpc-Message")
	}
	return &StatusError{Code: int(code), Message: text, Details: details(from.Get("Grpc-Status-Details-Bin"))}
}

// details returns the bytes of a binary header, which a server may pad or not.
func details(header string) []byte {
	bytes, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(header, "="))
	if err != nil {
		return nil
	}
	return bytes
}

const codeUnimplemented = 12

// StatusError says that a server refused a call.
type StatusError struct {
	Code    int
	Message string
	Details []byte // a google.rpc.Status; nil if the server sent none
}

// Error implements error.
func (e *StatusError) Error() string { return fmt.Sprintf("%s (gRPC status %d)", e.Message, e.Code) }

// Is reports whether the error means that the server does not have the method.
func (e *StatusError) Is(target error) bool {
	return target == errors.ErrUnsupported && e.Code == codeUnimplemented
}
