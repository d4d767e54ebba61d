package main

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failure is what a call failed with; docs/errors.md says what each part means.
type failure struct {
	code       codes.Code
	message    string
	reason     string // empty if the status is from a library and not from the gateway
	metadata   map[string]string
	fields     []*errdetails.BadRequest_FieldViolation
	retryAfter *time.Duration // nil if nothing says when to retry
}

func failureOf(err error) failure {
	found := status.Convert(err)
	result := failure{code: found.Code(), message: found.Message()}
	for _, detail := range found.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			result.reason, result.metadata = detail.Reason, detail.Metadata
		case *errdetails.BadRequest:
			result.fields = detail.FieldViolations
		case *errdetails.RetryInfo:
			delay := detail.RetryDelay.AsDuration()
			result.retryAfter = &delay
		}
	}
	return result
}

func (f failure) Error() string {
	// Go's own names of codes are not those of gRPC.
	lines := []string{fmt.Sprintf("%s: %s", code.Code(f.code), f.message)}
	if f.reason != "" {
		lines = append(lines, "reason: "+f.reason)
	}
	for _, it := range f.fields {
		lines = append(lines, fmt.Sprintf("field %s: %s", it.Field, it.Description))
	}
	if f.retryAfter != nil {
		lines = append(lines, fmt.Sprintf("retry after: %.3f s", f.retryAfter.Seconds()))
	}
	for _, name := range []string{"outcome", "command_id"} {
		if value := f.metadata[name]; value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	return strings.Join(lines, "\n  ")
}
