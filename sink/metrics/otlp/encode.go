// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// The numbers of the fields of opentelemetry.proto.metrics.v1, common.v1 and resource.v1.
const (
	inRequest = 1 // ExportMetricsServiceRequest.resource_metrics

	inResourceMetricsResource = 1
	inResourceMetricsScopes   = 2

	inScopeMetricsScope   = 1
	inScopeMetricsMetrics = 2

	inResourceAttributes = 1
	inScopeName          = 1

	inMetricName        = 1
	inMetricDescription = 2
	inMetricUnit        = 3
	inMetricGauge       = 5
	inMetricSum         = 7
	inMetricHistogram   = 9

	inDataPoints      = 1 // of a gauge, a sum and a histogram
	inDataTemporality = 2
	inDataMonotonic   = 3

	inPointStart = 2 // of a number and of a histogram
	inPointTime  = 3

	inNumberDouble     = 4
	inNumberInt        = 6
	inNumberAttributes = 7

	inHistogramCount      = 4
	inHistogramSum        = 5
	inHistogramBuckets    = 6
	inHistogramBounds     = 7
	inHistogramAttributes = 9

	inKeyValueKey   = 1
	inKeyValueValue = 2
	inAnyString     = 1
	inAnyBool       = 2
)

// The values of AggregationTemporality.
const (
	temporalityDelta      = 1
	temporalityCumulative = 2
)

// encoder makes requests of series. It writes the messages directly, from the innermost to the outermost: docs/RATIONALE.md says why. Its
// buffers are used again.
type encoder struct {
	resource []byte
	delta    bool

	scopes []byte     // of the request, as fields of ResourceMetrics, behind the resource
	points int        // data points of the request
	of     [][]byte   // of the scope: for each instrument the data points, as fields
	size   int        // of them
	labels attributes // of the series
	counts []uint64
	text   []byte
}

func newEncoder(resource map[string]string, delta bool) *encoder {
	e := &encoder{delta: delta}
	var attrs []byte
	for _, name := range slices.Sorted(maps.Keys(resource)) {
		attrs = appendBytes(attrs, inResourceAttributes, stringAttribute(nil, valid(name), []byte(valid(resource[name]))))
	}
	e.resource = appendBytes(nil, inResourceMetricsResource, attrs)
	e.scopes = append(make([]byte, headSize), e.resource...)
	return e
}

// valid returns a text that a receiver accepts: one name that is no UTF-8 would make it refuse the whole request.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func appendBytes[B []byte | string](dst []byte, field protowire.Number, b B) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return append(protowire.AppendVarint(dst, uint64(len(b))), b...)
}

// appendFixed appends a number of eight bytes.
func appendFixed(dst []byte, field protowire.Number, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(protowire.AppendTag(dst, field, protowire.Fixed64Type), n)
}

func stringAttribute(dst []byte, name string, value []byte) []byte {
	inner := protowire.SizeTag(inAnyString) + protowire.SizeBytes(len(value))
	dst = protowire.AppendTag(appendBytes(dst, inKeyValueKey, name), inKeyValueValue, protowire.BytesType)
	return appendBytes(protowire.AppendVarint(dst, uint64(inner)), inAnyString, value)
}

// attributes are the encoded attributes of a series.
type attributes struct {
	all  []byte
	ends []int
}

func (a *attributes) reset() { a.all, a.ends = a.all[:0], a.ends[:0] }

func (a *attributes) end() { a.ends = append(a.ends, len(a.all)) }

// size returns how long they are as fields.
func (a *attributes) size(field protowire.Number) int {
	size, start := 0, 0
	for _, end := range a.ends {
		size += protowire.SizeTag(field) + protowire.SizeBytes(end-start)
		start = end
	}
	return size
}

func (a *attributes) appendTo(dst []byte, field protowire.Number) []byte {
	start := 0
	for _, end := range a.ends {
		dst = appendBytes(dst, field, a.all[start:end])
		start = end
	}
	return dst
}

// times are those of a data point, in nanoseconds since 1970.
type times struct{ start, end uint64 }

// newTimes returns the times of a data point. It begins before it ends, also if the clock was set back in the meantime.
func newTimes(start, end time.Time) times {
	to := max(end.UnixNano(), 1)
	return times{uint64(max(min(start.UnixNano(), to-1), 0)), uint64(to)}
}

// addSeries adds the data points of a series.
func (e *encoder) addSeries(s *metrics.Snapshot, c metrics.Change, at times) {
	for len(e.of) < len(s.Instruments) {
		e.of = append(e.of, nil)
	}
	e.setLabels(c)
	for i := range s.Instruments {
		value, ok := c.Value(i)
		if !ok {
			continue
		}
		before := len(e.of[i])
		switch in := &s.Instruments[i]; {
		case in.Kind == metrics.Histogram:
			e.addHistogram(s, c, i, value, at)
		case in.Kind == metrics.Gauge:
			e.addNumber(i, in, value, times{end: at.end})
		case e.delta && !c.IsNew() && value == (metrics.Value{}):
			// Nothing came.
		default:
			e.addNumber(i, in, value, at)
		}
		e.size += len(e.of[i]) - before
	}
}

func (e *encoder) setLabels(c metrics.Change) {
	e.labels.reset()
	if c.Overflow() {
		e.labels.all = append(appendBytes(e.labels.all, inKeyValueKey, metrics.OverflowLabel),
			inKeyValueValue<<3|byte(protowire.BytesType), 2, inAnyBool<<3|byte(protowire.VarintType), 1)
		e.labels.end()
	}
	if cap(e.text) == 0 {
		e.text = make([]byte, 0, 4<<10)
	}
	for name, value := range c.Labels(e.text) {
		e.labels.all = stringAttribute(e.labels.all, valid(name), value)
		e.labels.end()
	}
}

// addNumber adds the data point of a counter or a gauge. A whole number is one in the message, too, if it fits 64 bits; otherwise
// it is the nearest float, and never a limit of 64 bits that nobody could tell from a value.
func (e *encoder) addNumber(i int, in *metrics.Instrument, value metrics.Value, at times) {
	const number = 1 + 8 // a field with eight bytes
	size := e.labels.size(inNumberAttributes) + 2*number
	if at.start != 0 {
		size += number
	}
	dst := protowire.AppendTag(e.of[i], inDataPoints, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	if at.start != 0 {
		dst = appendFixed(dst, inPointStart, at.start)
	}
	dst = appendFixed(dst, inPointTime, at.end)
	if n, ok := value.Int64(); ok && !in.Float {
		dst = appendFixed(dst, inNumberInt, uint64(n))
	} else {
		dst = appendFixed(dst, inNumberDouble, math.Float64bits(value.Float(in)))
	}
	e.of[i] = e.labels.appendTo(dst, inNumberAttributes)
	e.points++
}

// addHistogram adds the data point of a histogram. There is no sum if a value was negative: the protocol wants sums that do not fall.
func (e *encoder) addHistogram(s *metrics.Snapshot, c metrics.Change, i int, sum metrics.Value, at times) {
	in := &s.Instruments[i]
	e.counts = c.AppendBuckets(e.counts[:0], i)
	var count uint64
	for _, n := range e.counts {
		count += n
	}
	if e.delta && !c.IsNew() && count == 0 {
		return
	}
	hasSum := !s.Negative(i)
	const number = 1 + 8
	size := e.labels.size(inHistogramAttributes) + 3*number + 1 + protowire.SizeBytes(8*len(e.counts)) + 1 + protowire.SizeBytes(8*len(in.Boundaries))
	if hasSum {
		size += number
	}
	dst := protowire.AppendTag(e.of[i], inDataPoints, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendFixed(appendFixed(dst, inPointStart, at.start), inPointTime, at.end)
	dst = appendFixed(dst, inHistogramCount, count)
	if hasSum {
		dst = appendFixed(dst, inHistogramSum, math.Float64bits(sum.Float(in)))
	}
	dst = protowire.AppendTag(dst, inHistogramBuckets, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(8*len(e.counts)))
	for _, n := range e.counts {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	dst = protowire.AppendTag(dst, inHistogramBounds, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(8*len(in.Boundaries)))
	for _, bound := range in.Boundaries {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(bound))
	}
	e.of[i] = e.labels.appendTo(dst, inHistogramAttributes)
	e.points++
}

// endScope puts the metrics of the series so far into a scope. All lengths are known, so it writes each data point in its place at once.
func (e *encoder) endScope(scope string, s *metrics.Snapshot) {
	e.size = 0
	named := appendBytes(nil, inScopeName, valid(scope))
	size := 0
	for i := range s.Instruments {
		if i < len(e.of) && len(e.of[i]) > 0 {
			size += 1 + protowire.SizeBytes(e.sizeOfMetric(&s.Instruments[i], len(e.of[i])))
		}
	}
	if size == 0 {
		return
	}
	e.scopes = protowire.AppendTag(e.scopes, inResourceMetricsScopes, protowire.BytesType)
	e.scopes = protowire.AppendVarint(e.scopes, uint64(1+protowire.SizeBytes(len(named))+size))
	e.scopes = appendBytes(e.scopes, inScopeMetricsScope, named)
	for i := range s.Instruments {
		if i < len(e.of) && len(e.of[i]) > 0 {
			e.addMetric(&s.Instruments[i], e.of[i])
			e.of[i] = e.of[i][:0]
		}
	}
}

// sizeOfMetric returns the length of a metric with data points of a length.
func (e *encoder) sizeOfMetric(in *metrics.Instrument, points int) int {
	size := 1 + protowire.SizeBytes(points+len(e.kindOf(in)))
	for _, text := range []string{in.Name, in.Description, in.Unit} {
		if text != "" {
			size += 1 + protowire.SizeBytes(len(valid(text)))
		}
	}
	return size
}

func (e *encoder) addMetric(in *metrics.Instrument, points []byte) {
	e.scopes = protowire.AppendTag(e.scopes, inScopeMetricsMetrics, protowire.BytesType)
	e.scopes = protowire.AppendVarint(e.scopes, uint64(e.sizeOfMetric(in, len(points))))
	for i, text := range []string{in.Name, in.Description, in.Unit} {
		if text != "" {
			e.scopes = appendBytes(e.scopes, protowire.Number(inMetricName+i), valid(text))
		}
	}
	kind := e.kindOf(in)
	e.scopes = protowire.AppendTag(e.scopes, fieldOf(in), protowire.BytesType)
	e.scopes = protowire.AppendVarint(e.scopes, uint64(len(points)+len(kind)))
	e.scopes = append(append(e.scopes, points...), kind...)
}

// kindOf returns the fields of a metric that are the same for all data points.
//
// A counter is monotonic if its values have no sign: no number can make it smaller then. Of the others that cannot be known beforehand, and
// a stream cannot change it: a receiver would take a monotonic counter that falls for one that began anew.
func (e *encoder) kindOf(in *metrics.Instrument) string {
	const temporality, monotonic = string(rune(inDataTemporality << 3)), string(rune(inDataMonotonic<<3)) + "\x01"
	switch {
	case in.Kind == metrics.Gauge:
		return ""
	case in.Kind == metrics.Counter && !in.Signed && e.delta:
		return temporality + string(rune(temporalityDelta)) + monotonic
	case in.Kind == metrics.Counter && !in.Signed:
		return temporality + string(rune(temporalityCumulative)) + monotonic
	case e.delta:
		return temporality + string(rune(temporalityDelta))
	}
	return temporality + string(rune(temporalityCumulative))
}

func fieldOf(in *metrics.Instrument) protowire.Number {
	switch in.Kind {
	case metrics.Gauge:
		return inMetricGauge
	case metrics.Histogram:
		return inMetricHistogram
	}
	return inMetricSum
}

// take returns the request, which is valid until the next one, and the number of its data points. It is nil if there are none.
func (e *encoder) take() (request []byte, points int) {
	points = e.points
	e.points = 0
	if points == 0 {
		return nil, 0
	}
	// What comes before the scopes, now that their length is known, ends where they begin.
	request = e.scopes
	head := protowire.AppendTag(make([]byte, 0, headSize), inRequest, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(len(request)-headSize))
	start := headSize - len(head)
	copy(request[start:], head)
	e.scopes = e.scopes[:e.reserved()]
	return request[start:], points
}

// headSize is the greatest size of a field's number and length.
const headSize = 1 + binary.MaxVarintLen64

// reserved is where the scopes begin: behind the head of the only ResourceMetrics and the resource.
func (e *encoder) reserved() int { return headSize + len(e.resource) }
