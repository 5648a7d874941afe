-- What is looked up without an index takes the longer the more people there are.
CREATE INDEX enrolment_code_by_holder ON enrolment_code (holder) WHERE used = 0;
CREATE INDEX enrolment_code_by_end ON enrolment_code (expires);
CREATE INDEX enrolment_code_used ON enrolment_code (hash) WHERE used = 1;
CREATE INDEX request_by_creation ON request (created DESC, id);
